import { beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { exec, spawn } from "../../src/lib/exec.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { asPush, findProcesses, packageJson, probeFiles, until } from "../helpers/stator-server.ts";

/** In the command line of the build's process, so that nobody else's is taken for it. */
let sleep: string;

const { stator, app } = await serveApp(probeFiles("steady"));
beforeEach(() => {
  sleep = `1000.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
});

function slowBuild(command: string): Record<string, string> {
  return { "package.json": packageJson({ build: `echo the build begins && ${command}` }) };
}

/** A push whose git can be sent signals, as from a terminal: to all of its processes. */
function pushing(folder: string, ...args: string[]) {
  const child = spawn<"ignore", "pipe", "pipe">(["git", "push", "--progress", ...args], {
    cwd: folder,
    env: stator.gitEnvironment,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  } as never);
  let stderr = "";
  const decoder = new TextDecoder();
  const drained = (async () => {
    for await (const bytes of child.stderr) stderr += decoder.decode(bytes, { stream: true });
  })();
  return {
    said: (text: string) => until(`the push says ${text}`, () => stderr.includes(text)),
    signal: (name: NodeJS.Signals) => process.kill(-child.pid, name),
    async ended() {
      const exitCode = await child.exited;
      await drained;
      return asPush({ exitCode, stdout: "", stderr });
    },
  };
}

const mainRef = async () => (await app.git("ls-remote", "stator", "main")).stdout;
const buildFolders = () => {
  const folder = join(stator.dataDir, "box/builds");
  return existsSync(folder) ? readdirSync(folder) : [];
};

for (const signal of ["SIGINT", "SIGKILL"] as const)
  test(`a push that ends by ${signal} cancels its build, moves no ref and frees the lock`, async () => {
    const ref = await mainRef();
    const releases = await app.api<unknown[]>("GET", "/releases");
    app.write(slowBuild(`sleep ${sleep}`));
    await app.commit("Slow");
    const push = pushing(app.folder, "stator", "main");
    await push.said("the build begins");
    await until("the build sleeps", () => findProcesses(sleep).length > 0);
    push.signal(signal);
    await push.ended();
    await until("the build's processes are gone", () => findProcesses(sleep).length === 0);
    await until("its folder is gone", () => buildFolders().length === 0);
    expect(await mainRef()).toBe(ref);
    const builds = await app.api<{ status: string; created_at: string }[]>("GET", "/builds");
    builds.sort((one, other) => one.created_at.localeCompare(other.created_at));
    expect(builds.at(-1)?.status).toBe("failed");
    expect(await (await app.get()).text()).toBe("version steady");
    await app.git("reset", "--quiet", "--hard", "HEAD~1");
    await app.commit("Quick");
    const next = await app.push();
    expect(next.exitCode).toBe(0);
    expect(next.text).not.toContain("is deploying");
    expect(await app.api<unknown[]>("GET", "/releases")).toHaveLength(releases.length + 1);
  });

type Pushing = Parameters<typeof pushing>;
/** The second push comes while the first one builds, and has to wait. */
async function pushBoth(one: Pushing, other: Pushing) {
  const first = pushing(...one);
  await first.said("the build begins");
  const second = pushing(...other);
  await second.said("is deploying");
  return [await first.ended(), await second.ended()] as const;
}

test("two pushes at once: the second is told who deploys and since when, waits, and comes through", async () => {
  const copy = join(stator.work, "second-checkout");
  await exec(["git", "clone", "--quiet", app.folder, copy], { env: stator.gitEnvironment });
  await exec(["git", "commit", "--allow-empty", "-m", "Second"], {
    cwd: copy,
    env: stator.gitEnvironment,
  });
  const url = `${stator.credentials.git}/${app.name}.git`;
  app.write(slowBuild("sleep 5"));
  await app.commit("Slow");
  const [one, two] = await pushBoth([app.folder, "stator", "main"], [copy, url, "HEAD:master"]);
  expect(one.exitCode).toBe(0);
  expect(two.text).toMatch(
    new RegExp(
      `-----> ${stator.credentials.email} is deploying ${app.name} since \\d\\d:\\d\\d:\\d\\d UTC; waiting`,
    ),
  );
  expect(two.exitCode).toBe(0);
  const version = (text: string) => Number(/Released v(\d+)/.exec(text)?.[1]);
  expect(version(two.text)).toBe(version(one.text) + 1);
});

test("two pushes of different histories to main: what is refused at the end was not released", async () => {
  const url = `${stator.credentials.git}/${app.name}.git`;
  const copy = join(stator.work, "other-checkout");
  await exec(["git", "clone", "--quiet", "--branch", "main", url, copy], {
    env: stator.gitEnvironment,
  });
  await exec(["git", "commit", "--allow-empty", "-m", "Other history"], {
    cwd: copy,
    env: stator.gitEnvironment,
  });
  app.write(slowBuild("sleep 5 && date"));
  const firstCommit = await app.commit("One history");
  const [one, two] = await pushBoth([app.folder, "stator", "main"], [copy, url, "HEAD:main"]);
  expect(one.exitCode).toBe(0);
  expect(two.exitCode).not.toBe(0);
  expect(two.text).not.toContain("Released");
  expect(await mainRef()).toStartWith(firstCommit);
  const releases = await app.api<{ version: number; description: string }[]>("GET", "/releases");
  const last = releases.sort((a, b) => a.version - b.version).at(-1);
  expect(last?.description).toBe(`Deploy ${firstCommit.slice(0, 8)}`);
});

test("a push that waits and is cancelled leaves the one before it in peace", async () => {
  app.write(slowBuild("sleep 5 && echo by itself"));
  await app.commit("Slow again");
  const first = pushing(app.folder, "stator", "main");
  await first.said("the build begins");
  const second = pushing(app.folder, "stator", "HEAD:master", "--force");
  await second.said("is deploying");
  second.signal("SIGINT");
  expect((await second.ended()).exitCode).not.toBe(0);
  expect((await first.ended()).exitCode).toBe(0);
  expect((await app.push("stator", "HEAD:refs/heads/other")).exitCode).toBe(0);
});
