import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { exec, execOk } from "../../src/lib/exec.ts";
import { limitedDevices } from "../../src/runtime/cgroup.ts";
import { mountPoints } from "../../src/runtime/box-mount.ts";
import { createDynoDisks, type DiskFolders, type DynoDisks } from "../../src/runtime/disk.ts";
import type { ContainerMount } from "../../src/runtime/runtime.ts";
import { type ContainerBench, mebibyte, openContainerBench } from "../helpers/container-bench.ts";

let bench: ContainerBench;
let disks: DynoDisks;
let dir = "";
let slug = "";
const bytesPerSecond = 200_000_000;
const rootId = 0x7100_0000;
const owners = { rootId, userId: rootId + 1000 };

beforeAll(async () => {
  bench = await openContainerBench();
  // A space in the path: the kernel writes it in another way.
  dir = join(bench.folder, "the dynos");
  slug = join(bench.folder, "slug");
  mkdirSync(slug);
  writeFileSync(join(slug, "from-slug"), "slug\n");
  chownSync(join(slug, "from-slug"), owners.userId, owners.userId);
  disks = await createDynoDisks({ dir, sizeBytes: 64 * mebibyte, bytesPerSecond });
});
afterAll(async () => {
  await disks.sweep(new Set());
  expect(readdirSync(dir)).toEqual([]);
  expect(await traces()).toEqual([]);
  await bench.close();
});

async function traces(): Promise<string[]> {
  const loops = await exec(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"]);
  return [...mountPoints(), ...loops.stdout.split("\n")].filter((row) => row.includes(dir));
}

const mountsOf = ({ upper, work, tmp }: DiskFolders): ContainerMount[] => [
  { kind: "overlay", lower: slug, upper, work, target: "/app" },
  { kind: "bind", source: tmp, target: "/tmp", readOnly: false },
];

/** Runs a script in a container with a disk of its own. */
async function onDisk(script: string): Promise<string> {
  const id = crypto.randomUUID();
  const mounts = mountsOf(await disks.make(id, owners));
  const { text } = await bench.attached(`${script} 2>&1`, { mounts });
  await disks.remove(id);
  return text;
}

test("what is to be held back is the device of the disk", async () => {
  const id = crypto.randomUUID();
  const { limit, upper } = await disks.make(id, owners);
  const device = (await execOk(["stat", "--format=%Hd:%Ld", upper])).trim();
  expect(`${limit?.major}:${limit?.minor}`).toBe(device);
  expect(limit?.bytesPerSecond).toBe(bytesPerSecond);
  await disks.remove(id);
});

test("a dyno writes no faster than it may, and the next owner of its device is not held back", async () => {
  const slow = await createDynoDisks({
    ...{ dir: join(bench.folder, "slow"), sizeBytes: 64 * mebibyte, bytesPerSecond: 20_000_000 },
  });
  const id = crypto.randomUUID();
  const folders = await slow.make(id, owners);
  const limits = { memoryBytes: 128 * mebibyte, cpuWeight: 100, maxProcesses: 64 };
  const script = "dd if=/dev/zero of=/tmp/x bs=1M count=40 conv=fsync 2>&1 | tail -n 1";
  const { text } = await bench.attached(script, {
    mounts: mountsOf(folders),
    limits: { ...limits, ...(folders.limit && { writing: folders.limit }) },
  });
  expect(Number(/, ([\d.]+) s,/.exec(text)?.[1])).toBeGreaterThan(1.5);
  await slow.remove(id);
  expect(
    limitedDevices().filter(({ minor }) => !existsSync(`/sys/block/loop${minor}/loop`)),
  ).toEqual([]);
});

test("this machine has loop devices", () => {
  expect(disks.reason).toBeNull();
});

test("what a dyno writes to /app and /tmp lies on its disk, and is gone with it", async () => {
  const script =
    "cat /app/from-slug; echo a > /app/a; echo b > /app/from-slug; rm /app/from-slug; mkdir /app/d; echo t > /tmp/t; ls /app /tmp; id -u";
  expect(await onDisk(`{ ${script}; }`)).toBe("slug\n/app:\na\nd\n\n/tmp:\nt\n1000\n");
  expect(readdirSync(dir)).toEqual([]);
  expect(await traces()).toEqual([]);
});

test("over its quota a dyno gets ENOSPC, in /app and /tmp together, and its neighbour does not", async () => {
  const [greedy, neighbour] = [
    await disks.make("greedy", owners),
    await disks.make("other", owners),
  ];
  const fill = (path: string) => `head -c 100000000 /dev/zero > ${path}`;
  const script = `${fill("/tmp/full")}; stat -c %s /tmp/full; echo x > /tmp/small; ${fill("/app/full")}; stat -c %s /app/full`;
  const { text } = await bench.attached(`{ ${script}; } 2>&1`, { mounts: mountsOf(greedy) });
  expect(text.match(/No space left on device/g)?.length).toBeGreaterThanOrEqual(2);
  const sizes = text.match(/^\d+$/gm)?.map(Number) ?? [];
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(50 * mebibyte);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(64 * mebibyte);
  const other = await bench.attached("head -c 20000000 /dev/zero > /app/x && echo written", {
    mounts: mountsOf(neighbour),
  });
  expect(other.text).toBe("written\n");
  await Promise.all([disks.remove("greedy"), disks.remove("other")]);
});

test("there is a quota on the number of files as well", async () => {
  const said = await onDisk(
    `python3 -c '
try:
  for n in range(100000): open("/tmp/" + str(n), "w").close()
except OSError as error: print(error.strerror, n)'`,
  );
  expect(said).toMatch(/^No space left on device 8\d\d\d\n$/);
});

test("a disk takes from the host what is written, and gives back what is deleted", async () => {
  const folders = await disks.make("sparse", owners);
  const used = () => statSync(join(dir, "sparse/image")).blocks * 512;
  expect(used()).toBeLessThan(mebibyte);
  writeFileSync(join(folders.tmp, "x"), new Uint8Array(20 * mebibyte).fill(1));
  await execOk(["sync", "--file-system", folders.tmp]);
  expect(used()).toBeGreaterThan(20 * mebibyte);
  rmSync(join(folders.tmp, "x"));
  await execOk(["sync", "--file-system", folders.tmp]);
  for (let tries = 0; tries < 200 && used() > 10 * mebibyte; tries++) await Bun.sleep(20);
  expect(used()).toBeLessThan(10 * mebibyte);
  await disks.remove("sparse");
});

test("its options: no set-uid programs, no devices; the image is root's alone", async () => {
  await disks.make("options", owners);
  const row = await execOk(["findmnt", "-no", "OPTIONS", join(dir, "options/disk")]);
  expect(row).toContain("nosuid,nodev");
  expect(statSync(join(dir, "options/image"))).toMatchObject({ uid: 0 });
  expect(statSync(join(dir, "options/image")).mode & 0o777).toBe(0o600);
  expect(statSync(join(dir, "options")).mode & 0o777).toBe(0o700);
  await disks.remove("options");
});

test("many are made at once", async () => {
  const ids = Array.from({ length: 12 }, (_, index) => `many-${index}`);
  const made = await Promise.all(ids.map((id) => disks.make(id, owners)));
  expect(made.every(({ upper }) => existsSync(upper))).toBe(true);
  expect(mountPoints().filter((path) => path.startsWith(dir)).length).toBe(12);
  await Promise.all(ids.map((id) => disks.remove(id)));
  expect(await traces()).toEqual([]);
});

test("a sweep removes what nobody wants, whatever state an earlier server left it in, and keeps the rest", async () => {
  const kept = await disks.make("kept", owners);
  writeFileSync(join(kept.tmp, "file"), "kept");
  await disks.make("stale", owners);
  mkdirSync(join(dir, "only-folder"));
  mkdirSync(join(dir, "image-alone/disk"), { recursive: true });
  writeFileSync(join(dir, "image-alone/image"), "");
  const again = await createDynoDisks({ dir, sizeBytes: 64 * mebibyte, bytesPerSecond: null });
  await again.sweep(new Set(["kept"]));
  await again.sweep(new Set(["kept"]));
  expect(readdirSync(dir)).toEqual(["kept"]);
  expect(existsSync(join(kept.tmp, "file"))).toBe(true);
  expect((await traces()).length).toBe(2);
  await again.remove("kept");
  await again.remove("kept");
});

test("a disk is removed also while something holds it, and goes when that lets go", async () => {
  const { tmp } = await disks.make("held", owners);
  const stop = new AbortController();
  const holder = exec(["sleep", "1000"], { cwd: tmp, signal: stop.signal });
  await disks.remove("held");
  expect(existsSync(join(dir, "held"))).toBe(false);
  stop.abort();
  await holder;
  for (let tries = 0; tries < 200 && (await traces()).length > 0; tries++) await Bun.sleep(20);
  expect(await traces()).toEqual([]);
});

test("what cannot be made leaves nothing", async () => {
  const small = await createDynoDisks({ dir, sizeBytes: 1024, bytesPerSecond: null });
  expect(small.reason).toContain("mke2fs");
  // Without disks there are plain folders.
  const { upper, tmp } = await small.make("plain", owners);
  expect(statSync(upper)).toMatchObject({ uid: rootId + 1000 });
  expect(tmp).toBe(join(dir, "plain/tmp"));
  expect(await traces()).toEqual([]);
  await small.remove("plain");
});
