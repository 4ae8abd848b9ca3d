import { expect, test } from "bun:test";
import { constantRequests } from "../helpers/constant-requests.ts";
import { type DynoAnswer as Dyno, serveApp } from "../helpers/serve-app.ts";
import { packageJson, probeFiles, type StatorApp, until } from "../helpers/stator-server.ts";

const { stator, app } = await serveApp(
  probeFiles("one", {
    Procfile:
      "web: node server.js one\nworker: node worker.js\nclock: echo tick; sleep 600\nechoer: echo said\n",
    "worker.js":
      'console.log("worker", process.env.DYNO); require("node:http").createServer((q, r) => r.end("worker")).listen(process.env.PORT);',
  }),
  { variables: { STATOR_BOOT_TIMEOUT: "6" } },
);

const dynosOf = async (one: StatorApp) => (await one.api<Dyno[]>("GET", "/dynos")) ?? [];
const states = async (one: StatorApp = app) =>
  (await dynosOf(one)).map(({ name, state }) => `${name} ${state}`);
const scale = (one: StatorApp, ...updates: object[]) =>
  one.api<{ type: string; quantity: number; size: string }[]>("PATCH", "/formation", { updates });
const become = (wanted: string[], one: StatorApp = app) =>
  until(wanted.join(", "), async () => (await states(one)).join() === wanted.join()).catch(
    async (error: Error) => {
      throw new Error(`${error.message}; there are ${(await states(one)).join(", ")}`);
    },
  );
/** The lines of a dyno in the log, without their times. */
const said = async (dyno: string, one: StatorApp = app) =>
  (await one.logs())
    .split("\n")
    .filter((line) => line.includes(`[${dyno}]: `))
    .map((line) => line.replace(/^\S+ /, ""));

test("clause 4: the first deploy starts one web dyno, and nothing else", async () => {
  expect(await states()).toEqual(["web.1 up"]);
});

test("clause 19: scaling starts what is missing and restarts nobody who stays", async () => {
  const [first] = await dynosOf(app);
  const formation = await scale(
    app,
    { type: "web", quantity: "+1" },
    { type: "worker", quantity: 2 },
  );
  expect(formation.map(({ type, quantity }) => `${type}=${quantity}`)).toEqual([
    ...["clock=0", "echoer=0", "web=2", "worker=2"],
  ]);
  await become(["web.1 up", "web.2 up", "worker.1 up", "worker.2 up"]);
  expect((await dynosOf(app))[0]?.id).toBe(first?.id as string);
  expect(await app.logs()).toContain("app[api]: Scaled to web@2:Basic worker@2:Basic by user");
  for (const name of ["worker.1", "worker.2"])
    await until(`${name} speaks`, async () =>
      (await said(name)).includes(`app[${name}]: worker ${name}`),
    );
});

test("clause 6, 34: a worker that listens on $PORT gets no request, and $DYNO is its name", async () => {
  const answers = new Set<string>();
  for (let tries = 0; tries < 20; tries++) answers.add(await (await app.get()).text());
  expect([...answers]).toEqual(["version one"]);
  const names = new Set<string>();
  await until("both web dynos have answered", async () => {
    names.add((await app.shell("echo $DYNO")).trim());
    return names.size === 2;
  });
  expect([...names].sort()).toEqual(["web.1", "web.2"]);
});

test("clause 20: scaling down ends the highest numbers, with SIGTERM first and no failed request", async () => {
  const [first] = await dynosOf(app);
  const traffic = constantRequests(stator, app);
  await Bun.sleep(200);
  await scale(app, { type: "web", quantity: 1 }, { type: "worker", quantity: "-1" });
  await become(["web.1 up", "worker.1 up"]);
  await until("web.2 has ended", async () =>
    (await said("web.2")).includes("heroku[web.2]: Process exited with status 143"),
  );
  expect((await traffic.stop()).failures).toEqual([]);
  expect((await dynosOf(app))[0]?.id).toBe(first?.id as string);
  expect((await said("web.2")).filter((line) => line.startsWith("heroku"))).toEqual([
    "heroku[web.2]: Starting process with command `node server.js one`",
    "heroku[web.2]: State changed from starting to up",
    "heroku[web.2]: State changed from up to down",
    "heroku[web.2]: Stopping all processes with SIGTERM",
    "heroku[web.2]: Process exited with status 143",
  ]);
});

test("a size restarts the dynos of its type alone, and shows in their limits", async () => {
  const [web, worker] = await dynosOf(app);
  const traffic = constantRequests(stator, app);
  await scale(app, { type: "web", size: "standard-2x" });
  await until("web.1 is new", async () => {
    const [now] = await dynosOf(app);
    return now?.size === "Standard-2X" && now.state === "up" && now.id !== web?.id;
  });
  expect((await dynosOf(app))[1]?.id).toBe(worker?.id as string);
  expect((await traffic.stop()).failures).toEqual([]);
  await scale(app, { type: "web", size: "Basic" });
  await until("it is back", async () => (await dynosOf(app))[0]?.size === "Basic");
});

test("a wrong change is refused whole, and what the machine cannot hold with the numbers", async () => {
  const before = await app.api("GET", "/formation");
  for (const [updates, message] of [
    [
      [
        { type: "web", quantity: 5 },
        { type: "nope", quantity: 1 },
      ],
      "process type (nope)",
    ],
    [[{ type: "web", quantity: 900, size: "Performance-M" }], "this machine has"],
    [[{ type: "web", size: "enormous" }], "No such size"],
  ] as const)
    expect(scale(app, ...updates)).rejects.toThrow(message);
  expect(await app.api("GET", "/formation")).toEqual(before as never);
});

test("clause 23: one dyno, one type or all are restarted, web without a failed request; one-offs go on", async () => {
  const traffic = constantRequests(stator, app);
  const run = await app.api<Dyno>("POST", "/dynos", { command: "sleep 300" });
  const before = new Map((await dynosOf(app)).map(({ name, id }) => [name, id]));
  const isNew = async (name: string) => {
    const now = (await dynosOf(app)).find((dyno) => dyno.name === name);
    return now?.state === "up" && now.id !== before.get(name);
  };
  await app.api("DELETE", "/dynos/worker.1");
  await until("worker.1 is new", () => isNew("worker.1"));
  expect(await isNew("web.1")).toBe(false);
  await app.api("DELETE", "/formations/web");
  await until("web.1 is new", () => isNew("web.1"));
  for (const { name, id } of await dynosOf(app)) before.set(name, id);
  await app.api("DELETE", "/dynos");
  await until("all are new", async () => (await isNew("web.1")) && (await isNew("worker.1")));
  expect((await dynosOf(app)).map(({ name }) => name)).toContain(run.name);
  expect((await traffic.stop()).failures).toEqual([]);
  const lines = await said("web.1");
  expect(lines).toContain("heroku[web.1]: Restarting");
  expect(lines).toContain("heroku[web.1]: State changed from up to starting");
  await app.api("POST", `/dynos/${run.name}/actions/stop`);
  await until("it has ended", async () => !(await states()).join().includes(run.name));
});

test("clause 27, 32: an exit is a crash, also with 0: one start at once, then a wait; a restart resets it", async () => {
  await scale(app, { type: "echoer", quantity: 1 });
  const exits = async () =>
    (await said("echoer.1")).filter((line) => line.includes("exited with status 0")).length;
  await until("it has crashed twice", async () => (await exits()) === 2);
  await become(["echoer.1 crashed", "web.1 up", "worker.1 up"]);
  await Bun.sleep(500);
  expect(await exits()).toBe(2);
  expect((await said("echoer.1")).filter((line) => line.startsWith("heroku"))).toEqual([
    "heroku[echoer.1]: Starting process with command `echo said`",
    "heroku[echoer.1]: State changed from starting to up",
    "heroku[echoer.1]: Process exited with status 0",
    "heroku[echoer.1]: State changed from up to crashed",
    "heroku[echoer.1]: State changed from crashed to starting",
    "heroku[echoer.1]: Starting process with command `echo said`",
    "heroku[echoer.1]: State changed from starting to up",
    "heroku[echoer.1]: Process exited with status 0",
    "heroku[echoer.1]: State changed from up to crashed",
  ]);
  await app.api("DELETE", "/formations/echoer");
  await until("clause 28: it was started twice more", async () => (await exits()) === 4);
  await become(["echoer.1 crashed", "web.1 up", "worker.1 up"]);
  await scale(app, { type: "echoer", quantity: 0 });
  await become(["web.1 up", "worker.1 up"]);
});

test("ps:stop of a dyno of the formation ends it, and it is started again", async () => {
  const [web] = await dynosOf(app);
  await app.api("POST", "/dynos/web.1/actions/stop");
  await until("web.1 is new", async () => {
    const [now] = await dynosOf(app);
    return now?.state === "up" && now.id !== web?.id;
  });
});

test("clause 26: a web dyno that listens elsewhere is told so, and stopped; the release before serves on, and the push says so", async () => {
  const traffic = constantRequests(stator, app);
  app.write({
    "elsewhere.js":
      'require("node:http").createServer((q, r) => r.end()).listen(3000, "127.0.0.1");',
    Procfile: "web: node elsewhere.js\nworker: node worker.js\n",
  });
  await app.commit();
  const push = await app.push();
  expect(push.exitCode).not.toBe(0);
  expect(push.text).toContain("the process listens on 127.0.0.1:3000, not on 0.0.0.0:$PORT");
  expect(push.text).toContain("The release before goes on serving.");
  expect((await traffic.stop()).failures).toEqual([]);
  const lines = await said("web.1");
  for (const line of [
    "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 6 seconds of launch",
    "Process exited with status 137",
    "State changed from starting to crashed",
  ])
    expect(lines).toContain(`heroku[web.1]: ${line}`);
  expect(lines.at(-1)).toBe("heroku[web.1]: State changed from crashed to up");
  expect(await states()).toEqual(["web.1 up", "worker.1 up"]);
  const formation = await app.api<{ type: string }[]>("GET", "/formation");
  expect(formation.map(({ type }) => type)).toEqual(["clock", "echoer", "web", "worker"]);
});

test("clause 30: a type that the next release does not have goes with its dynos", async () => {
  app.write({ Procfile: "web: node server.js two\n" });
  await app.commit();
  expect((await app.push()).exitCode).toBe(0);
  await become(["web.1 up"]);
  expect(await (await app.get()).text()).toBe("version two");
  const formation = await app.api<{ type: string }[]>("GET", "/formation");
  expect(formation.map(({ type }) => type)).toEqual(["web"]);
});

const storySince = async (line: string) => {
  const lines = (await said("web.1")).filter((one) => one.startsWith("heroku"));
  return lines.slice(lines.lastIndexOf(line));
};

test("without preboot old dynos are told to stop as new ones start", async () => {
  const feature = await app.api<{ enabled: boolean }>("PATCH", "/features/preboot", {
    enabled: false,
  });
  expect(feature.enabled).toBe(false);
  await app.api("PATCH", "/config-vars", { ORDER: "heroku" });
  await until("a new dyno serves", async () =>
    (await (await app.get("/env")).text()).includes('"ORDER":"heroku"'),
  );
  await until("the old one has ended", async () =>
    (await storySince("heroku[web.1]: Restarting")).some((line) => line.includes("status 143")),
  );
  const story = await storySince("heroku[web.1]: Restarting");
  const order = (text: string) => story.findIndex((line) => line.includes(text));
  expect(order("SIGTERM")).toBeGreaterThan(0);
  expect(order("SIGTERM")).toBeLessThan(order("from starting to up"));
  await app.api("PATCH", "/features/preboot", { enabled: true });
});

test("clause 107: metadata appears with the release after the lab was switched on", async () => {
  await app.api("PATCH", "/features/runtime-dyno-metadata", { enabled: true });
  const environment = async () => (await (await app.get("/env")).json()) as Record<string, string>;
  expect(await environment()).not.toHaveProperty("HEROKU_APP_NAME");
  await app.api("PATCH", "/config-vars", { NEXT: "release" });
  await until("it is there", async () => "HEROKU_APP_NAME" in (await environment()));
  expect(await environment()).toMatchObject({
    HEROKU_APP_NAME: app.name,
    HEROKU_APP_DEFAULT_DOMAIN_NAME: `${app.name}.localhost`,
    HEROKU_SLUG_COMMIT: (await app.git("rev-parse", "HEAD")).stdout.trim(),
  });
  const file = JSON.parse(await app.shell("cat /etc/heroku/dyno")) as { app: { name: string } };
  expect(file.app.name).toBe(app.name);
});

test("clause 37, 38: the release command runs with the new slug and config before the dynos; when it fails the old ones stay", async () => {
  const files = (command: string) => ({
    "package.json": packageJson(),
    Procfile: `web: node server.js three\nrelease: ${command}\n`,
  });
  app.write(files('echo "release sees $WORD in $DYNO"; test ! -e /tmp/x'));
  await app.commit();
  await app.api("PATCH", "/config-vars", { WORD: "xyzzy" });
  const push = await app.push();
  expect(push.exitCode).toBe(0);
  expect(push.text).toMatch(
    /Release command declared[^]*Running release command\.\.\.\n\nrelease sees xyzzy in release\.\d{4}\nWaiting for release\.\.\.\. done\.\n/,
  );
  expect(await (await app.get()).text()).toBe("version three");
  interface Release {
    version: number;
    status: string;
    output_stream_url: string | null;
  }
  const newest = async () =>
    (await app.api<Release[]>("GET", "/releases")).sort((a, b) => b.version - a.version)[0];
  const withOutput = await newest();
  const address = new URL(withOutput?.output_stream_url ?? "");
  expect(await (await stator.ask("api", address.pathname)).text()).toContain("sees xyzzy");
  app.write(files("echo broken >&2; exit 9"));
  await app.commit();
  const [before] = await dynosOf(app);
  const failed = await app.push();
  expect(failed.exitCode).toBe(0);
  expect(failed.text).toContain("broken\nWaiting for release.... failed.");
  expect((await newest())?.status).toBe("failed");
  expect((await dynosOf(app))[0]?.id).toBe(before?.id as string);
  const log = await app.logs();
  expect(log).toMatch(/app\[api\]: Running release v\d+ commands by user /);
  expect(log).toMatch(/app\[release\.\d{4}\]: broken/);
  expect(log).toMatch(/heroku\[release\.\d{4}\]: Process exited with status 9/);
});

test("dynos that are being started when the server ends have their signal, too", async () => {
  await app.api("PATCH", "/config-vars", { WORD: "another" });
  expect(await stator.kill("SIGTERM")).toBe(0);
  await stator.restart();
  const lines = (await app.logs()).split("\n");
  expect(lines.filter((line) => line.includes("Error R12"))).toEqual([]);
});
