import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { createOciRuntime, type OciRuntime } from "../../src/runtime/oci-runtime.ts";
import type { ContainerSpec } from "../../src/runtime/runtime.ts";

setDefaultTimeout(20_000);
const instance = `t${crypto.randomUUID().slice(0, 3)}`;
let folder = "";
let runtime: OciRuntime;

const open = () =>
  createOciRuntime({
    runDir: join(folder, "run"),
    addressesDir: join(folder, "addresses"),
    rootfs: join(folder, "rootfs"),
    instance,
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stator-runtime-"));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, "out"));
  runtime = await open();
});
afterAll(async () => {
  for (const id of (await runtime.list()).keys()) await runtime.destroy(id);
  runtime.close();
  await runtime.remove();
  const cgroups = await exec(["find", "/sys/fs/cgroup", "-name", `stator-${instance}`]);
  const run = existsSync(join(folder, "run"));
  rmSync(folder, { recursive: true });
  expect(cgroups.stdout).toBe("");
  expect(run).toBe(false);
});

function container(script: string, change: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    id: `test-${crypto.randomUUID()}`,
    hostname: "inside",
    argv: ["/usr/bin/tini", "--", "bash", "-c", script],
    environment: { PATH: "/usr/bin:/bin", WORD: "xyzzy" },
    workingDirectory: "/",
    hostIdBase: 0x7100_0000,
    mounts: [],
    limits: { memoryBytes: 128 * 1024 * 1024, cpuWeight: 100, maxProcesses: 64 },
    terminal: null,
    openPort: null,
    network: null,
    ...change,
  };
}

const output = (id: string) => {
  const path = join(folder, "out", id);
  return existsSync(path) ? readFileSync(path, "utf8") : "";
};
async function start(script: string, change: Partial<ContainerSpec> = {}) {
  const spec = container(script, change);
  const { pid } = await runtime.start(spec, { logPath: join(folder, "out", spec.id) });
  return { id: spec.id, pid };
}
async function said(id: string, word: string): Promise<void> {
  for (let tries = 0; tries < 500 && !output(id).includes(word); tries++) await Bun.sleep(10);
  expect(output(id)).toContain(word);
}

async function attached(script: string, input: string | null, terminal = false) {
  let text = "";
  const decoder = new TextDecoder();
  const size = terminal ? { columns: 91, lines: 33 } : null;
  const run = runtime.attach(container(script, { terminal: size }), {
    output: (bytes) => void (text += decoder.decode(bytes, { stream: true })),
  });
  if (input !== null) await run.write(Buffer.from(input));
  if (!terminal) run.endInput();
  const status = await run.exited;
  return { status, text };
}

async function trace(id: string): Promise<string[]> {
  const cgroups = await exec(["find", "/sys/fs/cgroup", "-path", `*${instance}/${id}`]);
  const processes = await exec(["pgrep", "-f", id]);
  const bundle = join(folder, "run/containers", id);
  return [
    ...cgroups.stdout.split("\n"),
    ...processes.stdout.split("\n"),
    existsSync(bundle) ? bundle : "",
    existsSync(join(folder, "run/exits", id)) ? "exit status" : "",
  ].filter(Boolean);
}

test("a container starts, its output is written down, its exit status is told", async () => {
  const { id, pid } = await start("echo to-out; echo to-err >&2; exit 7");
  expect(pid).toBeGreaterThan(1);
  expect(await runtime.wait(id)).toBe(7);
  await said(id, "stdout F to-out\n");
  await said(id, "stderr F to-err\n");
  await runtime.destroy(id);
  expect(await trace(id)).toEqual([]);
});

test("a signal reaches every process, and ends as 128 + n", async () => {
  const { id } = await start(
    // The first process waits for the other one: when it ends, the kernel ends all that is left.
    "trap 'echo top; wait; exit 143' TERM; (trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.1; done) & while :; do sleep 0.1; done",
  );
  await said(id, "ready");
  await runtime.signal(id, "TERM");
  expect(await runtime.wait(id)).toBe(143);
  await said(id, "top");
  await said(id, "child");
  await runtime.destroy(id);
  const other = await start("sleep 1000");
  await runtime.signal(other.id, "KILL");
  expect(await runtime.wait(other.id)).toBe(137);
  await runtime.signal(other.id, "TERM");
  await runtime.destroy(other.id);
  expect(await trace(other.id)).toEqual([]);
});

test("its monitor is in a group of its own, below the server's and beside the container's", async () => {
  const { id } = await start("sleep 1000");
  const monitor = readFileSync(join(folder, "run/containers", id, "conmon.pid"), "utf8").trim();
  const groups = readFileSync(`/proc/${monitor}/cgroup`, "utf8").trim().split("\n");
  const apart = groups.filter((row) => row.endsWith(`/stator-${instance}/monitors`));
  expect(apart.length).toBeGreaterThanOrEqual(existsSync("/sys/fs/cgroup/cgroup.procs") ? 1 : 4);
  await runtime.destroy(id);
});

test("destroy ends what runs and leaves nothing, also twice", async () => {
  const network = runtime.reserveAddress("with-network");
  const { id } = await start("sleep 1000 & sleep 1000 & wait", { id: "with-network", network });
  const waiting = runtime.wait(id);
  expect((await exec(["ip", "link", "show", network.interfaceName])).exitCode).toBe(0);
  await runtime.destroy(id);
  await runtime.destroy(id);
  expect(await waiting).toBe(137);
  expect(await trace(id)).toEqual([]);
  expect((await exec(["ip", "link", "show", network.interfaceName])).exitCode).not.toBe(0);
  expect(runtime.addressOf(id)).toBeUndefined();
});

test("what ran when the server died is listed by the next one, with its pid, and can be waited for", async () => {
  const shared = mkdtempSync(join(folder, "shared-"));
  chmodSync(shared, 0o755);
  const running = await start("until [ -e /mnt/go ]; do sleep 0.05; done; exit 5", {
    mounts: [{ kind: "bind", source: shared, target: "/mnt", readOnly: true }],
  });
  const ended = await start("exit 3");
  expect(await runtime.wait(ended.id)).toBe(3);
  runtime.close();
  runtime = await open();
  const listed = await runtime.list();
  expect(listed.get(running.id)).toBe(running.pid);
  expect(listed.get(ended.id)).toBeNull();
  expect(await runtime.wait(ended.id)).toBe(3);
  writeFileSync(join(shared, "go"), "");
  expect(await runtime.wait(running.id)).toBe(5);
  for (const { id } of [running, ended]) await runtime.destroy(id);
  expect(await runtime.list()).toEqual(new Map());
});

test("attached by pipes: bytes go in and come out, the end of input ends it, the status is kept", async () => {
  expect(await attached("cat; echo $WORD; echo err >&2; exit 9", "some\0bytes\n")).toEqual({
    status: 9,
    text: "some\0bytes\nxyzzy\nerr\n",
  });
});

test("a large output comes whole", async () => {
  const { status, text } = await attached("head -c 5000000 /dev/zero | tr '\\0' x", null);
  expect([status, text.length]).toEqual([0, 5_000_000]);
});

test("attached by a terminal: there is one, with its size, and what is typed arrives", async () => {
  const { status, text } = await attached(
    "tty; stty size; read line; echo got $line; exit 4",
    "typed\n",
    true,
  );
  expect(text).toContain("/dev/pts/");
  expect(text).toContain("33 91");
  expect(text).toContain("got typed");
  expect(status).toBe(4);
});

test("an attached container leaves nothing", async () => {
  await attached("sleep 1000 & exit 0", null);
  expect(await runtime.list()).toEqual(new Map());
});

test("a program that is not there is an error in words, and leaves nothing", async () => {
  const spec = container("", { argv: ["/usr/bin/no-such-program"] });
  const problem = await runtime
    .start(spec, { logPath: join(folder, "out", spec.id) })
    .catch((error: Error) => error.message);
  expect(problem).toContain("no-such-program");
  expect(await trace(spec.id)).toEqual([]);
});

test("memory has a limit", async () => {
  const { id } = await start(
    "head -c 400000000 /dev/zero | tail -c 399999999 > /dev/null; echo survived $?",
  );
  await runtime.wait(id);
  expect(output(id)).not.toContain("survived 0");
  await runtime.destroy(id);
});

test("a container without a network has a loopback alone", async () => {
  const { text } = await attached(
    "cat /proc/net/dev | tail -n +3 | wc -l; cat /proc/net/route | tail -n +2 | wc -l",
    null,
  );
  expect(text).toBe("1\n0\n");
});
