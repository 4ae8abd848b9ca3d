import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ContainerBench, mebibyte, openContainerBench } from "../helpers/container-bench.ts";

let bench: ContainerBench;
beforeAll(async () => {
  bench = await openContainerBench();
});
afterAll(() => bench.close());

/** Holds so many MB in its memory. */
const hold = (megabytes: number) =>
  `python3 -c 'import time; held = bytearray(${megabytes} << 20); print("held", flush=True); time.sleep(1000)'`;
const bomb = "python3 -c 'held = []\nwhile True: held.append(bytearray(1 << 20))'";
const limits = (memory: number, kill?: number) => ({
  limits: {
    memoryBytes: memory * mebibyte,
    ...(kill ? { memoryKillBytes: kill * mebibyte } : {}),
    cpuWeight: 100,
    maxProcesses: 64,
  },
});

test("memory, processes and processor time are the kernel's own figures", async () => {
  const { id } = await bench.start(`${hold(50)} & wait`);
  await bench.said(id, "held");
  const stats = bench.runtime.stats(id);
  expect(stats?.memoryBytes).toBeGreaterThan(50 * mebibyte);
  expect(stats?.memoryBytes).toBeLessThan(90 * mebibyte);
  expect(stats?.processes).toBe(3);
  expect(stats?.outOfMemoryKills).toBe(0);
  expect(stats?.cpuMicroseconds).toBeGreaterThan(1000);
  const busy = bench.exec(id, "timeout 0.4 bash -c 'while :; do :; done'");
  await busy.exited;
  const later = bench.runtime.stats(id)?.cpuMicroseconds ?? 0;
  expect(later - (stats?.cpuMicroseconds ?? 0)).toBeGreaterThan(50_000);
  await bench.runtime.destroy(id);
});

test("page cache that can be dropped does not count", async () => {
  const { id } = await bench.start(
    "head -c 40000000 /dev/zero > /tmp/file; cat /tmp/file > /dev/null; echo written; sleep 1000",
    { mounts: [{ kind: "bind", source: bench.scratch(), target: "/tmp", readOnly: false }] },
  );
  await bench.said(id, "written");
  expect(bench.runtime.stats(id)?.memoryBytes).toBeLessThan(25 * mebibyte);
  await bench.runtime.destroy(id);
});

test("after the end, and until it is destroyed, it is known whether the kernel killed for want of memory", async () => {
  const { id } = await bench.start(bomb, limits(64));
  expect(await bench.runtime.wait(id)).not.toBe(0);
  expect(bench.runtime.stats(id)?.outOfMemoryKills).toBeGreaterThan(0);
  const peaceful = await bench.start("exit 1");
  expect(await bench.runtime.wait(peaceful.id)).toBe(1);
  expect(bench.runtime.stats(peaceful.id)?.outOfMemoryKills).toBe(0);
  for (const ended of [id, peaceful.id]) {
    await bench.runtime.destroy(ended);
    expect(bench.runtime.stats(ended)).toBeUndefined();
  }
  expect(bench.runtime.stats("no-such-container")).toBeUndefined();
});

test("an attached container's figures are known when it has ended", async () => {
  const spec = bench.spec(bomb, limits(64));
  const run = bench.runtime.attach(spec, { output() {} });
  expect(await run.exited).not.toBe(0);
  expect(bench.runtime.stats(spec.id)?.outOfMemoryKills).toBeGreaterThan(0);
});

test("a container lives on above the memory that it is told of, up to where the kernel kills", async () => {
  const { id } = await bench.start(`${hold(100)} & wait`, limits(64, 160));
  await bench.said(id, "held");
  expect(bench.runtime.stats(id)?.memoryBytes).toBeGreaterThan(100 * mebibyte);
  expect(bench.runtime.stats(id)?.outOfMemoryKills).toBe(0);
  const more = bench.exec(id, `${hold(100)}`);
  // On version 2 the whole container goes, and with it the program that was added.
  expect(await more.exited).toBe(137);
  expect(bench.runtime.stats(id)?.outOfMemoryKills).toBeGreaterThan(0);
  await bench.runtime.destroy(id);
});

test("programs that read the limit see what they may use, and cannot change it", async () => {
  const script = `
for file in memory.max memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes; do
  at=/sys/fs/cgroup/$file
  if [ -e $at ]; then cat $at; echo 1 > $at || echo refused; fi
done 2>/dev/null
node -p 'process.constrainedMemory()'`;
  const { text } = await bench.attached(script, limits(256, 512));
  const lines = text.trim().split("\n");
  // Node.js before version 20 looks for no limit of version 2.
  expect([String(256 * mebibyte), "undefined"]).toContain(lines.pop() as string);
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) expect([String(256 * mebibyte), "refused"]).toContain(line);
});
