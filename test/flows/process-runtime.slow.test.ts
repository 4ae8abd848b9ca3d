import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, hostEnvironment } from "../../src/lib/exec.ts";
import { expectFixtureServes } from "../helpers/fixture-app.ts";
import {
  findProcesses,
  repositoryRoot,
  startStator,
  type StatorApp,
  type StatorServer,
  until,
} from "../helpers/stator-server.ts";

/** A user that the machine has never heard of, and whose group has another number. */
const user = { uid: 61_234, gid: 61_235 };
let folder = "";
let binary = "";
let dataDir = "";
let stator: StatorServer;
let app: StatorApp;

/** The program as that user, without a right to get any other one's. */
const asThatUser = (...argv: string[]) =>
  [
    "setpriv",
    ...["--reuid", String(user.uid), "--regid", String(user.gid), "--clear-groups"],
    ...["--no-new-privs", "--"],
    ...argv,
  ] as [string, ...string[]];
const flags = ["--runtime", "process", "--stop-dynos"];
const environment = () => ({ PATH: hostEnvironment.PATH, HOME: join(folder, "home") });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stator-process-"));
  chmodSync(folder, 0o755);
  for (const name of ["home", "data"]) {
    mkdirSync(join(folder, name), { mode: 0o700 });
    chownSync(join(folder, name), user.uid, user.gid);
  }
  dataDir = join(folder, "data");
  binary = join(folder, "stator");
  const built = await exec([process.execPath, "src/bundle/binary.ts", "--outfile", binary], {
    cwd: repositoryRoot,
    env: { PATH: hostEnvironment.PATH, HOME: folder },
  });
  expect(built.stderr).toBe("");
  stator = await startStator({
    ...{ program: asThatUser(binary), dataDir, flags, cwd: folder },
    variables: environment(),
  });
});
afterAll(async () => {
  await stator.stop();
  rmSync(folder, { recursive: true });
});

const webPids = () =>
  findProcesses("server.js")
    .filter(({ pid, argv }) => argv[0] === "node" && folderOf(pid).startsWith(dataDir))
    .map(({ pid }) => pid);

/** Where a process works; nothing when it has ended. */
function folderOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

const run = (...argv: string[]) =>
  exec([binary, "run", "--app", app.name, "--exit-code", ...argv], {
    env: {
      ...environment(),
      STATOR_API: stator.credentials.api,
      STATOR_API_KEY: stator.credentials.token,
    },
  });

test("it must be asked for, not by root, and with a name that is known", async () => {
  const start = (argv: [string, ...string[]], variables: Record<string, string> = {}) =>
    exec(argv, { env: { ...environment(), ...variables } });
  const byRoot = await start([binary, "server", "--data", dataDir, "--runtime", "process"]);
  expect([byRoot.exitCode, byRoot.stderr.trim().split("\n").length]).toEqual([2, 1]);
  expect(byRoot.stderr).toContain("must not be root");
  const unknown = await start(asThatUser(binary, "server"), { STATOR_RUNTIME: "docker" });
  expect(unknown.stderr).toBe(' ▸    STATOR_RUNTIME is "docker", but must be oci or process\n');
  expect(unknown.exitCode).toBe(2);
  const unasked = await start(asThatUser(binary, "server", "--data", dataDir));
  expect(unasked.stderr).toContain("needs root");
  expect(unasked.exitCode).toBe(2);
  const blank = join(folder, "home", "a b");
  const strange = await start(asThatUser(binary, "server", "--data", blank, ...flags));
  expect([strange.exitCode, strange.stderr]).toEqual([2, expect.stringContaining('a b"')]);
  expect(existsSync(blank)).toBe(false);
});

test("at its start it says what it does not give", () => {
  const said = stator.said().replaceAll(/\n ▸ {4}/g, "");
  for (const word of ["WITHOUT ISOLATION", "no limits", "no network address", "no /app"])
    expect(said).toContain(word);
});

test("a real push is built and served, all as that user", async () => {
  app = await expectFixtureServes(stator, "plain-http");
  const [pid] = webPids();
  expect(pid).toBeGreaterThan(1);
  expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(
    /^Uid:\t61234\t61234\t61234\t61234$/m,
  );
  const router = stator.routerPid as number;
  expect(readFileSync(`/proc/${router}/status`, "utf8")).toMatch(/^Uid:\t61234\t/m);
  await until("its output is in the log", async () =>
    /app\[web\.1\]: Listening on \d+/.test(await app.logs()),
  );
});

test("other users of the machine do not come into the data folder", () => {
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
});

test("no secret is in a command line or stays in a file beside the store", async () => {
  const secret = crypto.randomUUID();
  await app.api("PATCH", "/config-vars", { SECRET: secret });
  const [before] = webPids();
  await until("it rolls over", async () => {
    const [pid] = webPids();
    return pid !== undefined && pid !== before && environmentOf(pid).includes(`SECRET=${secret}`);
  });
  await until("the old one is gone", () => webPids().length === 1);
  expect((await app.get("/greeting")).status).toBe(200);
  expect(findProcesses(secret)).toEqual([]);
  const holders = await exec(["grep", "-rl", secret, join(dataDir, "run")]);
  expect(holders.stdout).toBe("");
});

test("a one-off has the app's files, its config and its exit status; profile scripts are read", async () => {
  app.write({
    ".profile.d/here.sh": "export FROM_PROFILE_D=$HOME/x\n",
    ".profile": "export FROM_PROFILE=yes\n",
  });
  await app.commit();
  expect((await app.push()).exitCode).toBe(0);
  const { stdout, exitCode } = await run(
    "--",
    "echo $FROM_PROFILE_D:$FROM_PROFILE:$PATH; pwd; ls /app; echo hi > $TMPDIR/f && ls $TMPDIR; exit 3",
  );
  expect(exitCode).toBe(3);
  const [exported = "", pwd = "", ...files] = stdout.trim().split("\n");
  expect(exported).toMatch(/^\/.*\/dynos\/[0-9a-f-]+\/upper\/x:yes:/);
  expect(exported.split(":")[0]).toBe(`${pwd}/x`);
  expect(files).toEqual(["Procfile", "expect.json", "package.json", "server.js", "f"]);
});

test("kill -9 of the server: the app serves on, and the next server takes over the same process", async () => {
  const [before] = webPids();
  await stator.kill("SIGKILL");
  expect((await app.get("/greeting")).status).toBe(200);
  await stator.restart();
  expect(webPids()).toEqual([before as number]);
  expect((await app.get("/greeting")).status).toBe(200);
  const dynos = await app.api<{ name: string; state: string }[]>("GET", "/dynos");
  expect(dynos.map(({ name, state }) => `${name} ${state}`)).toEqual(["web.1 up"]);
  process.kill(before as number, "SIGKILL");
  await until("its end is seen, and another one serves", async () => {
    const [pid] = webPids();
    return pid !== undefined && pid !== before && (await app.get("/greeting")).status === 200;
  });
});

test("an app with packages from a registry is built, and a second app runs beside the first", async () => {
  await expectFixtureServes(stator, "express");
  expect((await app.get("/greeting")).status).toBe(200);
});

test("stop leaves no process and nothing of what ran", async () => {
  expect(await stator.kill("SIGTERM")).toBe(0);
  expect(findProcesses(dataDir)).toEqual([]);
  expect(webPids()).toEqual([]);
  expect(existsSync(join(dataDir, "run"))).toBe(false);
  expect(readdirSync(join(dataDir, "box", "dynos"))).toEqual([]);
});

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}
