/**
 * `npm run bench`, or with `languages` or `neighbours` that part alone: what a push, a start, a
 * rollback and an idle platform cost on this machine, with real containers and the compiled binary.
 * Figures are medians; the goals stand beside them.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createOciRuntime } from "../../src/runtime/oci-runtime.ts";
import { type BenchPlatform, benchDynos } from "./dynos.ts";
import { startOutsideServer } from "../helpers/outside-server.ts";
import { benchLanguages, offeredMirrors } from "./languages.ts";
import { median } from "./figures.ts";
import { benchNeighbours } from "./neighbours.ts";
import { findPids, pssMegabytes, sum } from "./processes.ts";
import { measureApi } from "./api.ts";
import { measureLogs } from "./logs.ts";

const root = join(import.meta.dir, "../..");
const binary = join(root, "dist/stator");
const folder = mkdtempSync(join(tmpdir(), "stator-bench-"));

const rows: [what: string, figure: string, goal: string][] = [];

await run(["bun", "src/bundle/binary.ts"], root);
rows.push(["size of the binary", `${(statSync(binary).size / 1024 / 1024).toFixed(0)} MB`, ""]);

const outside = await startOutsideServer();
const server = Bun.spawn(
  [binary, "server", "--data", join(folder, "data"), "--http", "0", "--stop-dynos"],
  {
    cwd: folder,
    env: {
      ...process.env,
      STATOR_API_REQUESTS_PER_HOUR: "1000000",
      ...offeredMirrors(outside),
      ...(process.env.SSL_CERT_FILE ? { STATOR_BUILD_CA_BUNDLE: process.env.SSL_CERT_FILE } : {}),
    },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  },
);
try {
  const credentialsPath = join(folder, "data/credentials.json");
  await until(() => existsSync(credentialsPath), 20_000, "the server starts");
  const { api, git, token } = JSON.parse(readFileSync(credentialsPath, "utf8")) as Credentials;
  const port = new URL(api).port;
  const stator = { port, token, git };

  await until(() => serves(stator), 20_000, "the platform serves");
  const part = process.argv[2];
  if (part === undefined) await measureAllElse(stator);
  if (part === undefined || part === "neighbours") await measureNeighbours(stator);
  if (part === undefined || part === "languages")
    await benchLanguages(seenBy(stator), {
      ...{ outside, binary, buildpacks: join(folder, "data/buildpacks") },
      prepare: (fixture, label) => prepareApp(stator, fixture, label),
      log: (app) => logOf(stator, app),
    });
} finally {
  server.kill("SIGTERM");
  await server.exited;
  await outside.stop();
  rmSync(folder, { recursive: true, force: true });
}

const width = Math.max(...rows.map(([what]) => what.length));
for (const [what, figure, goal] of rows)
  process.stdout.write(
    `${what.padEnd(width)}  ${figure.padEnd(34)} ${goal && `(goal: ${goal})`}\n`,
  );

async function measureAllElse(stator: Stator): Promise<void> {
  await measureIdleMemory();
  rows.push(["start of the command line", await startOfCommandLine(), "under 60 ms"]);
  const plain = await prepareApp(stator, "plain-http");
  const express = await prepareApp(stator, "express");
  rows.push([
    "push to live, no dependencies",
    seconds(median(await times(5, () => plain.push()))),
    "under 2 s",
  ]);
  rows.push([
    "push to live, Express, warm cache",
    seconds(median(await times(5, () => express.push()))),
    "under 4 s",
  ]);
  rows.push([
    "rollback to live",
    seconds(median(await times(5, () => plain.rollBack()))),
    "under 1 s",
  ]);
  await measureContainerStart();
  await measureReleasesUnderLoad(stator, plain);
  await measureDynos(stator);
  rows.push(...(await measureLogs()));
  rows.push(...(await measureApi()));
}

async function measureNeighbours(stator: Stator): Promise<void> {
  const quick = await prepareApp(stator, "plain-http", "quick");
  const working = await prepareApp(stator, "plain-http", "working");
  const bad = await prepareApp(stator, "plain-http", "bad");
  // Some 10 ms before each answer.
  const server = `const http = require("node:http");
const { pbkdf2Sync } = require("node:crypto");
const answer = () => pbkdf2Sync("a", "b", 20_000, 32, "sha256").toString("hex");
http.createServer((request, response) => response.end(answer())).listen(process.env.PORT);
`;
  await Bun.write(join(working.work, "server.js"), server);
  for (const app of [quick, working, bad]) await app.push();
  const asked = ({ name }: { name: string }, perSecond: number) => ({
    ...{ host: `${name}.localhost`, port: stator.port, perSecond },
  });
  await benchNeighbours(
    seenBy(stator),
    { quick: asked(quick, 100), working: asked(working, 25), bad: bad.name },
    folder,
  );
}

/** The platform as parts of the benchmark see it: by its API, its router, and a row to print. */
function seenBy(stator: Stator): Pick<BenchPlatform, "api" | "get" | "row"> {
  return {
    api: (method, path, body) => call(stator, method, path, body),
    get: (app) => ask(stator.port, `${app}.localhost`),
    row: (what, figure, goal = "") => rows.push([what, figure, goal]),
  };
}

/** Many dynos of an app that answers at once, or does nothing. */
async function measureDynos(stator: Stator): Promise<void> {
  const { name, work } = await prepareApp(stator, "plain-http", "dynos");
  const procfile = `${readFileSync(join(work, "Procfile"), "utf8").trim()}\nidle: exec sleep infinity\n`;
  await Bun.write(join(work, "Procfile"), procfile);
  await commit(work);
  await run(["git", "push", "stator", "main"], work);
  const instance = createHash("sha256").update(join(folder, "data")).digest("hex").slice(0, 4);
  // Those of the other apps would be counted with it.
  for (const app of ["bench-plain-http", "bench-express"])
    await call(stator, "DELETE", `/apps/${app}`);
  await benchDynos(
    {
      serverPid: server.pid,
      routerPids: routerPids(),
      runDir: `/run/stator/${instance}/`,
      ...seenBy(stator),
    },
    name,
  );
}

interface Credentials {
  api: string;
  git: string;
  token: string;
}
type Stator = { port: string; token: string; git: string };

async function prepareApp(stator: Stator, fixture: string, label = fixture) {
  const name = `bench-${label}`;
  const work = join(folder, label);
  cpSync(resolve(root, "test/fixtures/apps", fixture), work, { recursive: true });
  const { path } = JSON.parse(readFileSync(join(work, "expect.json"), "utf8")) as { path: string };
  await call(stator, "POST", "/apps", { name });
  const { hostname } = new URL(stator.git);
  await Bun.write(
    join(folder, ".netrc"),
    `machine ${hostname} login bench password ${stator.token}\n`,
  );
  await run(["git", "init", "--quiet", "--initial-branch=main"], work);
  await run(["git", "remote", "add", "stator", `${stator.git}/${name}.git`], work);
  await commit(work);
  const coldMs = await timed(() => run(["git", "push", "stator", "main"], work));
  return {
    name,
    work,
    coldMs,
    async push() {
      await commit(work);
      return timed(async () => {
        await run(["git", "push", "stator", "main"], work);
        const response = await ask(stator.port, `${name}.localhost`, { path });
        if (response.status !== 200) throw new Error(`${name} answers ${response.status}`);
      });
    },
    async rollBack() {
      const releases = (await call(stator, "GET", `/apps/${name}/releases`)) as Release[];
      const current = releases.reduce((one, other) => (one.version > other.version ? one : other));
      const target = releases.find(({ version }) => version === current.version - 1);
      return timed(async () => {
        const made = (await call(stator, "POST", `/apps/${name}/releases`, {
          release: target?.id,
        })) as Release;
        await settled(stator, name, made.version);
      });
    },
  };
}

interface Release {
  id: string;
  version: number;
  status: string;
}

async function settled(stator: Stator, app: string, version: number): Promise<void> {
  for (;;) {
    const release = (await call(stator, "GET", `/apps/${app}/releases/${version}`)) as Release;
    if (release.status === "succeeded") return;
    if (release.status === "failed") throw new Error(`release v${version} failed`);
    await Bun.sleep(5);
  }
}

/** Server and router after a start, before any app. PSS: pages they share are counted once. */
async function measureIdleMemory(): Promise<void> {
  await Bun.sleep(2000);
  const router = routerPids();
  const [ofServer, ofRouter] = [pssMegabytes(server.pid), sum(router.map(pssMegabytes))];
  rows.push([
    "idle memory of the platform",
    `${(ofServer + ofRouter).toFixed(0)} MB (server ${ofServer.toFixed(0)}, ${router.length} of the router ${ofRouter.toFixed(0)})`,
    "under 150 MB",
  ]);
}

/** The binary as a person types it: a command that asks nobody, so that nothing else is measured. */
async function startOfCommandLine(): Promise<string> {
  const figures = await times(20, () => timed(() => run([binary, "help", "ps:scale"], folder)));
  return `${median(figures).toFixed(0)} ms`;
}

/** Its master and its workers. */
function routerPids(): number[] {
  return findPids(join(folder, "data/router"));
}

async function measureContainerStart(): Promise<void> {
  const runDir = `/run/stator/bench-${process.pid}`;
  const runtime = await createOciRuntime({
    runDir,
    addressesDir: "/run/stator/addresses",
    rootfs: join(runDir, "rootfs"),
    instance: "be9c",
  });
  const figures: number[] = [];
  for (let index = 0; index < 10; index++) {
    const id = `bench-${process.pid}-${index}`;
    const network = runtime.reserveAddress(id);
    const spec = {
      id,
      hostname: "bench",
      argv: ["/usr/bin/tini", "--", "sleep", "60"],
      environment: { PATH: "/usr/bin:/bin" },
      workingDirectory: "/",
      hostIdBase: 0x7000_0000,
      mounts: [],
      limits: { memoryBytes: 512 * 1024 * 1024, cpuWeight: 100, maxProcesses: 256 },
      terminal: null,
      openPort: null,
      network,
    };
    figures.push(await timed(() => runtime.start(spec, { logPath: join(folder, `${id}.log`) })));
    await runtime.destroy(id);
  }
  runtime.close();
  await runtime.remove();
  rows.push(["container's part of a dyno's start", milliseconds(median(figures)), "under 100 ms"]);
}

async function measureReleasesUnderLoad(stator: Stator, app: { name: string }): Promise<void> {
  let running = true;
  let failed = 0;
  const latencies: number[] = [];
  const ask_ = async (close: boolean) => {
    while (running) {
      const start = performance.now();
      const ok = await ask(stator.port, `${app.name}.localhost`, { close })
        .then((response) => response.status === 200)
        .catch(() => false);
      latencies.push(performance.now() - start);
      if (!ok) failed++;
      await Bun.sleep(2);
    }
  };
  const clients = [ask_(false), ask_(false), ask_(true), ask_(true)];
  const took = await timed(async () => {
    for (let index = 0; index < 20; index++) {
      await call(stator, "PATCH", `/apps/${app.name}/config-vars`, { BENCH: `${index}` });
      const releases = (await call(stator, "GET", `/apps/${app.name}/releases`)) as Release[];
      await settled(stator, app.name, Math.max(...releases.map(({ version }) => version)));
    }
  });
  running = false;
  await Promise.all(clients);
  latencies.sort((one, other) => one - other);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  rows.push([
    "20 releases under requests",
    `${seconds(took)}, ${latencies.length} requests, ${failed} failed`,
    "0 failed",
  ]);
  rows.push([
    "  answer meanwhile, median / p99",
    `${milliseconds(median(latencies))} / ${milliseconds(p99)}`,
    "",
  ]);
}

async function call(
  stator: Stator,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${stator.port}${path}`, {
    method,
    headers: {
      host: "api.localhost",
      accept: "application/vnd.heroku+json; version=3",
      authorization: `Bearer ${stator.token}`,
      "content-type": "application/json",
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok)
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function serves(stator: Stator): Promise<boolean> {
  try {
    await call(stator, "GET", "/apps");
    return true;
  } catch {
    return false;
  }
}

/** The newest lines of an app's log. */
async function logOf(stator: Stator, app: string): Promise<string> {
  const { logplex_url: url } = (await call(stator, "POST", `/apps/${app}/log-sessions`, {
    lines: 100,
  })) as { logplex_url: string };
  const { pathname, search } = new URL(url);
  const response = await fetch(`http://127.0.0.1:${stator.port}${pathname}${search}`, {
    headers: { host: new URL(url).host },
  });
  return response.text();
}

async function ask(
  port: string,
  host: string,
  { close = false, path = "/" } = {},
): Promise<{ status: number }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: { host, ...(close ? { connection: "close" } : {}) },
  });
  await response.arrayBuffer();
  return response;
}

async function commit(work: string): Promise<void> {
  await Bun.write(join(work, "stamp.txt"), `${performance.now()}\n`);
  await run(["git", "add", "--all"], work);
  await run(
    ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "bench"],
    work,
  );
}

async function run(argv: string[], cwd: string): Promise<void> {
  const program = argv[0] === "bun" ? [process.execPath, ...argv.slice(1)] : argv;
  const child = Bun.spawn(program, {
    cwd,
    env: { ...process.env, HOME: folder },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")}: ${said}`);
}

async function until(
  condition: () => boolean | Promise<boolean>,
  limitMs: number,
  what: string,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`gave up waiting until ${what}`);
    await Bun.sleep(20);
  }
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await task();
  return performance.now() - start;
}

async function times(count: number, task: () => Promise<number>): Promise<number[]> {
  const figures: number[] = [];
  for (let index = 0; index < count; index++) figures.push(await task());
  return figures;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}
