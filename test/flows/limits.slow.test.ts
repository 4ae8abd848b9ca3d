import { expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { constantRequests } from "../helpers/constant-requests.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { packageJson, probeFiles } from "../helpers/stator-server.ts";

const megabyte = 1024 * 1024;

const { stator, app } = await serveApp(probeFiles("good"), {
  variables: { STATOR_BUILD_TIMEOUT: "90" },
});

const residentBytes = (pid: number) =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;

/** How much more memory server and router held at the most while something was done. */
async function memoryGrowth<T>(task: () => Promise<T>): Promise<{ result: T; growth: number }> {
  const pids = [stator.pid, stator.routerPid as number];
  const all = () => pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
  const before = all();
  let most = before;
  const watching = setInterval(() => (most = Math.max(most, all())), 50);
  const result = await task();
  clearInterval(watching);
  return { result, growth: most - before };
}

/** Pushes while requests go on, none of which may fail. */
async function pushUnderRequests(build: string) {
  app.write({ "package.json": packageJson({ build }) });
  await app.commit("A bad build");
  const traffic = constantRequests(stator, app);
  const { result, growth } = await memoryGrowth(() => app.push());
  const { failures } = await traffic.stop();
  expect(failures).toEqual([]);
  expect(await (await app.get()).text()).toBe("version good");
  return { pushed: result, growth };
}

test("a build that prints 200 MB is cut short in its output, in bounded memory", async () => {
  const { pushed, growth } = await pushUnderRequests(
    "head -c 200000000 /dev/zero | tr '\\\\0' x | fold -w 1000; exit 1",
  );
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text.length).toBeLessThan(22 * megabyte);
  expect(pushed.text).toContain(
    "This step has printed more than 20.0M; the rest of its output is not shown.",
  );
  expect(pushed.text).toContain("Push rejected, failed to compile Node.js app.");
  expect(growth).toBeLessThan(150 * megabyte);
});

test("a build that prints 200 MB without a line break is cut short too", async () => {
  const { pushed, growth } = await pushUnderRequests("head -c 200000000 /dev/zero; exit 1");
  expect(pushed.exitCode).not.toBe(0);
  expect(growth).toBeLessThan(150 * megabyte);
});

test("a build that forks without end is told so, and harms nobody", async () => {
  const { pushed } = await pushUnderRequests("bash -c 'f() { f | f & }; f; sleep 5; exit 1'");
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain("The build has used up the processes that it may have");
  expect(pushed.text).not.toContain("crash");
  expect(pushed.text).toContain("Push failed");
});

test("a build that takes all memory is ended and harms nobody", async () => {
  const { pushed } = await pushUnderRequests(
    "node -e 'const all = []; for (;;) all.push(Buffer.alloc(5e7, 1))'",
  );
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain("Push rejected, failed to compile Node.js app.");
});

async function writeNoise(path: string, megabytes: number): Promise<void> {
  const made = await exec([
    ...(["dd", "if=/dev/urandom", `of=${join(app.folder, path)}`] as const),
    ...["bs=1M", `count=${megabytes}`, "status=none"],
  ]);
  expect(made.exitCode).toBe(0);
}

test("clause 70: a slug of more than 500 MB is refused with its size", async () => {
  const { pushed, growth } = await pushUnderRequests(
    "dd if=/dev/urandom of=noise bs=1M count=600 status=none",
  );
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toMatch(/ !     Compiled slug size: 60\dM is too large \(max is 500M\)\.\n/);
  expect(pushed.text).toContain(".slugignore");
  expect(pushed.text).toContain(" !     Push failed\n");
  expect(growth).toBeLessThan(150 * megabyte);
});

test("a push of 500 MB goes through, in memory that does not grow with it", async () => {
  await writeNoise("noise", 500);
  app.write({ ".slugignore": "/noise\n", ...probeFiles("big") });
  await app.commit("Much");
  const traffic = constantRequests(stator, app);
  const { result: pushed, growth } = await memoryGrowth(() => app.push());
  expect((await traffic.stop()).failures).toEqual([]);
  expect(pushed.text).toContain("Verifying deploy... done.");
  expect(await (await app.get()).text()).toBe("version big");
  expect(growth).toBeLessThan(150 * megabyte);
  rmSync(join(app.folder, "noise"));
});

test("a clone of 500 MB goes out, in memory that does not grow with it", async () => {
  const copy = join(stator.work, "copy-of-much");
  const url = `${stator.credentials.git}/${app.name}.git`;
  const { result, growth } = await memoryGrowth(() =>
    exec(["git", "clone", "--quiet", url, copy], { env: stator.gitEnvironment }),
  );
  expect(result.stderr).toBe("");
  expect(growth).toBeLessThan(150 * megabyte);
  rmSync(copy, { recursive: true });
});
