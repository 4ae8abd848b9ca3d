import { expect, test } from "bun:test";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

const { app } = await serveApp(
  probeFiles("one", {
    Procfile:
      "web: node server.js one\nstubborn: trap '' TERM; echo ready; while :; do sleep 1; done\n",
  }),
);

test.concurrent(
  "clause 108, R13, R16: a one-off that nobody comes for is hung up on; one that ignores it is told of, and goes on",
  async () => {
    const { name } = await app.api<{ name: string }>("POST", "/dynos", {
      ...{ command: "trap '' HUP; sleep 1000", attach: true, force_no_tty: true },
    });
    await until("R16 is told", async () =>
      (await app.logs()).includes(`heroku[${name}]: Error R16 (Detached)`),
    );
    const lines = (await app.logs()).split("\n").filter((line) => line.includes(`[${name}]`));
    const count = (text: string) => lines.filter((line) => line.includes(text)).length;
    expect(count("Error R13 (Attach error) -> Failed to attach to process")).toBe(1);
    expect(count("Client connection closed. Sending SIGHUP to all processes")).toBe(4);
    const dynos = await app.api<{ name: string }[]>("GET", "/dynos");
    expect(dynos.map((dyno) => dyno.name)).toContain(name);
    await app.api("POST", `/dynos/${name}/actions/stop`);
  },
);

test.concurrent(
  "clause 25, R12: what does not end within 30 seconds of SIGTERM is killed",
  async () => {
    await app.api("PATCH", "/formation", { updates: [{ type: "stubborn", quantity: 1 }] });
    await until("it runs", async () => (await app.logs()).includes("app[stubborn.1]: ready"));
    await app.api("PATCH", "/formation", { updates: [{ type: "stubborn", quantity: 0 }] });
    await until("it has ended", async () =>
      (await app.logs()).includes("heroku[stubborn.1]: Process exited with status 137"),
    );
    const story = (await app.logs())
      .split("\n")
      .filter((line) => line.includes("heroku[stubborn.1]"))
      .map((line) => line.replace(/^\S+ heroku\[stubborn\.1\]: /, ""));
    expect(story.slice(-4)).toEqual([
      "Stopping all processes with SIGTERM",
      "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM",
      "Stopping all processes with SIGKILL",
      "Process exited with status 137",
    ]);
  },
);
