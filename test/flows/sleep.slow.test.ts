import { expect, test } from "bun:test";
import { serveApp } from "../helpers/serve-app.ts";
import { findProcesses, probeFiles, until } from "../helpers/stator-server.ts";

/** In the command lines of the app's processes. */
const tag = `sleeper-${crypto.randomUUID()}`;

const { stator, app } = await serveApp(
  probeFiles("one", {
    Procfile: `web: node server.js ${tag}\nworker: node -e 0 ${tag}; sleep 600\n`,
  }),
);
await app.api("PATCH", "/formation", { updates: [{ type: "worker", quantity: 1 }] });

const names = async () =>
  (await app.api<{ name: string; state: string }[]>("GET", "/dynos")).map(
    ({ name, state }) => `${name} ${state}`,
  );
const asleep = () => until("it sleeps", async () => (await names()).length === 0);

test("clause 105: without requests web and worker are put to sleep, and the next request wakes them and waits", async () => {
  await app.api("PATCH", "", { sleep_after: 2 });
  await asleep();
  await until("nothing of it runs", () => findProcesses(tag).length === 0);
  await until("its end was told", async () =>
    (await app.logs()).includes("heroku[web.1]: Process exited with status 143"),
  );
  await app.api("PATCH", "", { sleep_after: 3600 });
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const response = await app.get();
      return `${response.status} ${await response.text()}`;
    }),
  );
  expect([...new Set(answers)]).toEqual([`200 version ${tag}`]);
  await until("both are up", async () => (await names()).join() === "web.1 up,worker.1 up");
  const log = await app.logs();
  const lines = log.split("\n").filter((line) => line.includes("heroku[web.1]"));
  const story = lines.map((line) => line.replace(/^\S+ heroku\[web\.1\]: /, ""));
  expect(story.slice(story.indexOf("Idling"))).toEqual([
    "Idling",
    "State changed from up to down",
    "Stopping all processes with SIGTERM",
    "Process exited with status 143",
    "Unidling",
    "State changed from down to starting",
    `Starting process with command \`node server.js ${tag}\``,
    "State changed from starting to up",
  ]);
});

test("an app that sleeps does so over a restart of the server, and is woken by what came meanwhile", async () => {
  await app.api("PATCH", "", { sleep_after: 2 });
  await asleep();
  await stator.kill("SIGKILL");
  const answer = app.get();
  await Bun.sleep(300);
  await stator.restart();
  expect((await answer).status).toBe(200);
});

test("a release wakes an app, and switching it off does too", async () => {
  await asleep();
  await app.api("PATCH", "/config-vars", { A: "1" });
  await until("it is up", async () => (await names()).includes("web.1 up"));
  await asleep();
  await app.api("PATCH", "", { sleep_after: null });
  await until("it is up again", async () => (await names()).includes("web.1 up"));
});
