import { tailOutput } from "../../src/dyno/output-tail.ts";
import { createLogs } from "../../src/logs/log-store.ts";

/** What the server does for a dyno's log, as a process of its own that a test can kill. */
const [, , dir = "", output = ""] = process.argv;
const logs = createLogs({ dir });
tailOutput(output, logs.intake("app", { id: "dyno", dyno: "web.1" }));
let number = 0;
setInterval(() => {
  const message = `heartbeat ${number++}`;
  logs.write("app", {
    at: "2024-05-01T12:00:00.000000+00:00",
    source: "heroku",
    dyno: "web.1",
    message,
  });
}, 3);
process.stdout.write("reads\n");
