import { expect, test } from "bun:test";
import { join } from "node:path";
import { exec, hostEnvironment } from "../../src/lib/exec.ts";
import { tryRead } from "../../src/runtime/read-file.ts";
import { constantRequests } from "../helpers/constant-requests.ts";
import { nodePids, serveApp } from "../helpers/serve-app.ts";
import {
  findProcesses,
  packageJson,
  probeFiles,
  repositoryRoot,
  until,
} from "../helpers/stator-server.ts";

/** In the command line of the app's process, so that the machine's other dynos are not taken for it. */
const tag = `probe-${crypto.randomUUID()}`;

const { stator, app } = await serveApp(probeFiles(tag));

const dynoPids = () => nodePids(tag);
/** A second crash in a row would be followed by a wait; after a restart it is the first. */
async function forgetCrashes(): Promise<void> {
  const [before] = dynoPids();
  await app.api("DELETE", "/dynos");
  await until("a new dyno runs alone", () => {
    const pids = dynoPids();
    return pids.length === 1 && pids[0] !== before;
  });
}
const say = async (word: string) => (await app.get(`/log/${word}`)).text();
const countOf = (text: string, word: string) => text.split(word).length - 1;

test("kill -9 of the server: no request fails, and a new one takes over the same dynos and logs", async () => {
  const [before, router] = [dynoPids(), stator.routerPid];
  expect(before).toHaveLength(1);
  await say("said-before");
  const traffic = constantRequests(stator, app);
  await Bun.sleep(300);
  await stator.kill("SIGKILL");
  const atDeath = traffic.count;
  await say("said-meanwhile");
  await Bun.sleep(700);
  expect(traffic.count).toBeGreaterThan(atDeath + 20);
  await stator.restart();
  await say("said-after");
  await Bun.sleep(300);
  expect((await traffic.stop()).failures).toEqual([]);
  expect(dynoPids()).toEqual(before);
  expect(stator.routerPid).toBe(router as number);
  const dynos = await app.api<{ name: string; state: string }[]>("GET", "/dynos");
  expect(dynos.map(({ name, state }) => `${name} ${state}`)).toEqual(["web.1 up"]);
  await until("the log has all of it, once", async () => {
    // Without the lines of the requests, which may be more than are shown.
    const log = await app.logs({ source: "app" });
    return ["said-before", "said-meanwhile", "said-after"].every(
      (word) => countOf(log, `app[web.1]: ${word}\n`) === 1,
    );
  });
});

test("a dyno of the server before is still seen to end, and is started again", async () => {
  const [before] = dynoPids();
  process.kill(before as number, "SIGKILL");
  await until("another process serves", () => {
    const [now] = dynoPids();
    return now !== undefined && now !== before;
  });
  await until("it answers", async () => (await app.get()).status === 200);
  expect(await app.logs()).toContain("heroku[web.1]: Process exited with status 137");
});

test("a dyno that ended while no server ran is replaced by the next one", async () => {
  await forgetCrashes();
  const [before] = dynoPids();
  await stator.kill("SIGKILL");
  process.kill(before as number, "SIGKILL");
  await until("it is gone", () => dynoPids().length === 0);
  await stator.restart();
  await until("another process serves", async () => (await app.get()).status === 200);
  expect(dynoPids()).not.toEqual([before as number]);
});

test("SIGTERM without --stop-dynos: dynos and router go on, and are taken over", async () => {
  await stator.kill("SIGKILL");
  await stator.restart({ flags: [] });
  const [before, router] = [dynoPids(), stator.routerPid];
  const traffic = constantRequests(stator, app);
  expect(await stator.kill("SIGTERM")).toBe(0);
  await Bun.sleep(500);
  expect(dynoPids()).toEqual(before);
  await stator.restart();
  expect(dynoPids()).toEqual(before);
  expect(stator.routerPid).toBe(router as number);
  expect((await traffic.stop()).failures).toEqual([]);
});

test("a config change after a takeover replaces the dyno without a failed request", async () => {
  const [before] = dynoPids();
  const traffic = constantRequests(stator, app);
  await app.api("PATCH", "/config-vars", { AFTER: "takeover" });
  await until("the old process is gone", () => {
    const now = dynoPids();
    return now.length === 1 && now[0] !== before;
  });
  expect((await traffic.stop()).failures).toEqual([]);
});

test("a router that dies is started again on the same port, and comes before the dynos again", async () => {
  const router = stator.routerPid as number;
  const first = `/stator-${stator.instance}/router\n`;
  const isFirst = (pid: number | undefined) => tryRead(`/proc/${pid}/cgroup`).includes(first);
  expect(isFirst(router)).toBe(true);
  process.kill(router, "SIGKILL");
  await until("another one answers", async () => {
    try {
      // A worker of the old one may answer until it has heard of its end.
      return stator.routerPid !== router && (await app.get()).status === 200;
    } catch {
      return false;
    }
  });
  await until("it is in the group that weighs most", () => isFirst(stator.routerPid));
});

test("kill -9 during a build: the push is refused, nothing of the build is left, the next one goes", async () => {
  const sleep = `1000.${Math.floor(Math.random() * 1e9)}`;
  app.write({
    "package.json": packageJson({ build: `sleep ${sleep}` }),
  });
  await app.commit();
  const pushing = app.push();
  await until("the build sleeps", () => findProcesses(sleep).length > 0);
  await stator.kill("SIGKILL");
  expect((await pushing).exitCode).not.toBe(0);
  await stator.restart();
  await until("the build's processes are gone", () => findProcesses(sleep).length === 0);
  const builds = await app.api<{ status: string }[]>("GET", "/builds");
  expect(builds.map(({ status }) => status)).not.toContain("pending");
  expect(await (await app.get()).text()).toBe(`version ${tag}`);
  app.write(probeFiles(tag));
  await app.commit();
  expect((await app.push()).exitCode).toBe(0);
});

test("SIGTERM during a build: the push is refused, the build's processes end, the server ends with 0", async () => {
  const sleep = `1000.${Math.floor(Math.random() * 1e9)}`;
  app.write({ "package.json": packageJson({ build: `sleep ${sleep}` }) });
  await app.commit();
  const pushing = app.push();
  await until("the build sleeps", () => findProcesses(sleep).length > 0);
  const stopped = stator.kill("SIGTERM");
  expect(await Promise.race([stopped, Bun.sleep(15_000).then(() => "it goes on")])).toBe(0);
  expect((await pushing).exitCode).not.toBe(0);
  expect(findProcesses(sleep)).toEqual([]);
  await stator.restart();
  await until("it answers", async () => (await app.get()).status === 200);
  app.write(probeFiles(tag));
  await app.commit();
});

function server(...flags: string[]) {
  const main = join(repositoryRoot, "src/main.ts");
  const env = { PATH: hostEnvironment.PATH, HOME: stator.work };
  return exec([process.execPath, "--no-env-file", main, "server", ...flags], { env });
}

test("a second server on the same folder is refused and told whose it is", async () => {
  const { exitCode, stderr } = await server("--data", stator.dataDir, "--http", "0");
  expect(exitCode).toBe(2);
  expect(stderr).toBe(
    ` ▸    ${stator.dataDir} is used by another server, process ${stator.pid}; stop that one first or choose another --data\n`,
  );
  expect((await app.get()).status).toBe(200);
});

for (const [flag, value] of [
  ["--http", "eighty"],
  ["--http", "70000"],
  ["--http", "-1"],
  ["--http", ""],
  ["--https", "1e3"],
  ["--domain", "NOT A DOMAIN"],
  ["--domain", "-a.example"],
  ["--host", "example.com"],
  ["--host", "1.2.3"],
  ["--data", ""],
] as const)
  test(`${flag} ${JSON.stringify(value)} is refused in one line that names it, with status 2`, async () => {
    const others = flag === "--data" ? [] : ["--data", join(stator.work, "other")];
    const { exitCode, stderr, stdout } = await server(...others, `${flag}=${value}`);
    expect(exitCode).toBe(2);
    expect(stdout).toBe("");
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain(flag);
  });

test("an unknown flag is refused in one line, with status 2", async () => {
  const { exitCode, stderr } = await server("--prot", "80");
  expect(exitCode).toBe(2);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).toContain("--prot");
});
