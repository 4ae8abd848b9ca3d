import { expect, test } from "bun:test";
import { appendFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { commandLine } from "../helpers/command-line.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { packageJson, until } from "../helpers/stator-server.ts";

const { stator, app } = await serveApp({
  "package.json": packageJson(),
  Procfile: "web: node server.js\n",
  // Takes memory, and touches it, when it is asked to.
  "server.js": `const kept = [];
require("node:http").createServer((request, response) => {
  const megabytes = Number(request.url.slice(1));
  for (let taken = 0; taken < megabytes; taken += 16) kept.push(Buffer.alloc(16 * 1024 * 1024, 1));
  response.end(String(process.memoryUsage.rss()));
}).listen(process.env.PORT);`,
});

const said = async () =>
  (await app.logs()).split("\n").filter((line) => line.includes("heroku[web.1]"));

test("clause 35: over its quota a dyno goes on and is told of; over twice of it, it is ended and started again", async () => {
  expect((await app.get("/600")).status).toBe(200);
  await until("R14 is told", async () =>
    (await said()).some((line) => line.includes("Error R14 (Memory quota exceeded)")),
  );
  const told = (await said()).find((line) => line.includes("Process running mem="));
  const [, megabytes, percent] = /mem=(\d+)M\((\d+\.\d)%\)$/.exec(told ?? "") ?? [];
  expect(Number(megabytes)).toBeGreaterThan(512);
  expect(Number(percent)).toBeCloseTo((Number(megabytes) / 512) * 100, 0);
  expect((await app.get("/0")).status).toBe(200);
  await app.get("/600").catch(() => {});
  await until("it is up again", async () => (await app.get("/0")).status === 200);
  const story = (await said()).map((line) => line.replace(/^\S+ heroku\[web\.1\]: /, ""));
  const end = story.indexOf("Error R15 (Memory quota vastly exceeded)");
  expect(story.slice(end - 1, end + 6)).toEqual([
    expect.stringMatching(/^Process running mem=10\d\dM\(\d+\.\d%\)$/),
    "Error R15 (Memory quota vastly exceeded)",
    "The kernel ended it: it needed more than 1024 MB",
    "Process exited with status 137",
    "State changed from up to crashed",
    "State changed from crashed to starting",
    "Starting process with command `node server.js`",
  ]);
});

test("clause 35: a one-off that takes too much is told of by the same words, attached or not", async () => {
  const command = "node -e 'const all = []; for (;;) all.push(Buffer.alloc(5e7, 1))'";
  const person = commandLine({
    ...{ STATOR_API: stator.credentials.api, STATOR_API_KEY: stator.credentials.token },
    ...{ STATOR_APP: app.name, TERM: "xterm" },
  });
  expect(await person.start(["run", "--no-tty", command]).exited).toBe(137);
  expect(await person.start(["run:detached", command]).exited).toBe(0);
  person.remove();
  const kills = () =>
    app.logs().then((text) => text.match(/heroku\[run\.\d+\]: Error R15/g)?.length ?? 0);
  await until("both are told of", async () => (await kills()) === 2);
});

test("clause 35: a dyno of which only a part was killed is ended as a whole", async () => {
  const bomb = "node -e 'const all = []; for (;;) all.push(Buffer.alloc(5e7, 1))'";
  const { name } = await app.api<{ name: string }>("POST", "/dynos", {
    command: `while :; do ${bomb}; done`,
  });
  const lines = async () =>
    (await app.logs()).split("\n").filter((line) => line.includes(`heroku[${name}]`));
  await until("it is complete", async () =>
    (await lines()).some((line) => line.endsWith("State changed from up to complete")),
  );
  const story = (await lines()).join("\n");
  expect(story.match(/Error R15/g)).toHaveLength(1);
  expect(story).toContain("Process exited with status 137");
});

test("R17: a slug whose archive was changed is not started, and said to be damaged", async () => {
  const archives = join(stator.dataDir, "slugs");
  const [archive = ""] = readdirSync(archives);
  appendFileSync(join(archives, archive), "x");
  await stator.kill("SIGKILL");
  const unpacked = join(stator.dataDir, "box/slugs");
  for (const range of readdirSync(unpacked))
    for (const slug of readdirSync(join(unpacked, range)))
      rmSync(join(unpacked, range, slug), { recursive: true });
  await stator.restart();
  await app.api("PATCH", "/config-vars", { A: "1" });
  const sha256 = archive.replace(".tgz", "");
  await until("R17 is told", async () =>
    (await said()).some((line) =>
      new RegExp(
        `Error R17 \\(Checksum error\\) -> Checksum does match expected value\\. Expected: SHA256:${sha256} Actual: SHA256:[0-9a-f]{64}$`,
      ).test(line),
    ),
  );
  expect((await app.get("/0")).status).toBe(200);
});
