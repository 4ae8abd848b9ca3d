import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tryRead } from "./read-file.ts";
import type { ContainerStats, Device } from "./runtime.ts";

const mountPoint = "/sys/fs/cgroup";

/** Version 2 alone; a hybrid machine keeps its limits and figures in version 1. */
export const unifiedCgroups = existsSync(join(mountPoint, "cgroup.controllers"));

/** Whether a limit on swap can be set: some kernels do not account for it. */
export function accountsSwap(): boolean {
  if (!unifiedCgroups) return existsSync(join(mountPoint, "memory/memory.memsw.limit_in_bytes"));
  return someGroupHas("memory.swap.max");
}

/** Whether a group's writing can be held back; version 1 does not know whose the writes are that come later. */
export function limitsWriting(): boolean {
  if (unifiedCgroups) enableForAll("io");
  return unifiedCgroups && someGroupHas("io.max");
}

const deviceLimits = join(mountPoint, "blkio/blkio.throttle.write_bps_device");

/** Holds back all that is written to a device, on version 1, where a group cannot be; `null`: nothing. */
export function limitDevice({ major, minor }: Device, bytesPerSecond: number | null): void {
  if (existsSync(deviceLimits))
    writeFileSync(deviceLimits, `${major}:${minor} ${bytesPerSecond ?? 0}\n`);
}

/** The devices with such a limit. */
export function limitedDevices(): Device[] {
  if (!existsSync(deviceLimits)) return [];
  const rows = readFileSync(deviceLimits, "utf8").matchAll(/^(\d+):(\d+) /gm);
  return [...rows].map(([, major, minor]) => ({ major: Number(major), minor: Number(minor) }));
}

/** The root group has no limits; one below it shows which ones there are. */
function someGroupHas(file: string): boolean {
  return readdirSync(mountPoint).some((group) => existsSync(join(mountPoint, group, file)));
}

/** A controller of version 2 is there for groups when somebody has asked for it; who starts containers does. */
function enableForAll(controller: string): void {
  try {
    writeFileSync(join(mountPoint, "cgroup.subtree_control"), `+${controller}`);
  } catch {
    // This kernel has none.
  }
}

/** Where a group is in each hierarchy that this machine has. */
function cgroupFolders(group: string): string[] {
  const hierarchies = unifiedCgroups ? [""] : readdirSync(mountPoint);
  return hierarchies
    .map((hierarchy) => join(mountPoint, hierarchy, group))
    .filter((folder) => existsSync(folder));
}

/**
 * Puts a process into a group of its own below another, out of the reach of what ends or limits the
 * service that it was started by. On version 1 only where that matters, and with a share of its own
 * in the processor alone: each move there makes the whole kernel wait.
 */
export async function moveToGroup(parent: string, name: string, pid: number): Promise<void> {
  const own = join(parent, name);
  const places = unifiedCgroups
    ? [own]
    : [...["systemd", "unified", "memory"].map((one) => join(one, parent)), join("cpu", own)];
  for (const place of places) {
    const [hierarchy = ""] = unifiedCgroups ? [] : place.split("/");
    if (!existsSync(join(mountPoint, hierarchy, "cgroup.procs"))) continue;
    await mkdir(join(mountPoint, place), { recursive: true });
    await writeFile(join(mountPoint, place, "cgroup.procs"), String(pid));
  }
  // Possible as soon as no process is in the parent itself.
  if (unifiedCgroups)
    await writeFile(join(mountPoint, parent, "cgroup.subtree_control"), "+cpu").catch(() => {});
}

/** The shares of version 1, which OCI speaks in, for the weight of version 2: a usual group has 100 of it. */
export function sharesOf(weight: number): number {
  return Math.max(2, Math.round((weight * 1024) / 100));
}

/** Gives a group its weight against those beside it, where the processors are not enough for all. */
export async function weighGroup(group: string, weight: number): Promise<void> {
  const [path, value] = unifiedCgroups
    ? [join(group, "cpu.weight"), weight]
    : [join("cpu", group, "cpu.shares"), sharesOf(weight)];
  await writeFile(join(mountPoint, path), String(value));
}

/** From now on groups can be held to some of the processors, if this kernel can do it. */
export function enableProcessorChoice(): void {
  if (unifiedCgroups) enableForAll("cpuset");
}

/**
 * The processors that a group's processes may run on, by their numbers; none when there is no such
 * group, or none can be held to some.
 */
export function processorsOf(group: string): number[] {
  const path = unifiedCgroups
    ? join(group, "cpuset.cpus.effective")
    : join("cpuset", group, "cpuset.effective_cpus");
  return parseProcessors(tryRead(join(mountPoint, path)).trim());
}

/** Holds a group's processes to some of its parent's processors; or lets them have all again. */
export function chooseProcessors(parent: string, name: string, processors: number[] | "all"): void {
  // Version 1 knows no "all": a group has its own list, which its parent's must have in it.
  const list = processors !== "all" ? processors : unifiedCgroups ? [] : processorsOf(parent);
  const path = join(unifiedCgroups ? "" : "cpuset", parent, name, "cpuset.cpus");
  writeFileSync(join(mountPoint, path), `${list.join(",")}\n`);
}

/** `0-2,5` as the kernel lists them. Pure. */
function parseProcessors(list: string): number[] {
  return list.split(",").flatMap((range) => {
    if (range === "") return [];
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Of `everyUs` microseconds a group's processes get so many of one processor, all together. */
export interface ProcessorTurn {
  runUs: number;
  everyUs: number;
}

/** Holds the processes of a group to a part of the processors' time. */
export async function capProcessors(
  group: string,
  { runUs, everyUs }: ProcessorTurn,
): Promise<void> {
  const write = (path: string, text: string) => writeFile(join(mountPoint, path), text);
  if (unifiedCgroups) return write(join(group, "cpu.max"), `${runUs} ${everyUs}`);
  await write(join("cpu", group, "cpu.cfs_period_us"), String(everyUs));
  await write(join("cpu", group, "cpu.cfs_quota_us"), String(runUs));
}

/** Removes a group and those below it; one in which processes of another owner are is left. */
export function removeCgroup(group: string): void {
  for (const folder of cgroupFolders(group)) removeFolder(folder);
}

function removeFolder(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) removeFolder(join(folder, entry.name));
    rmdirSync(folder);
  } catch {
    // Gone meanwhile, or in use: then it is not ours to remove.
  }
}

/** The processes of a group; none when there is no such group. */
export function pidsOf(group: string): number[] {
  try {
    const folder = unifiedCgroups ? group : join("pids", group);
    const rows = readFileSync(join(mountPoint, folder, "cgroup.procs"), "utf8").split("\n");
    return rows.filter((row) => row !== "").map(Number);
  } catch {
    return [];
  }
}

/** The kernel's figures of a group; nothing when there is no such group. */
export function readStats(group: string): ContainerStats | undefined {
  try {
    return unifiedCgroups ? readUnified(group) : readVersion1(group);
  } catch {
    return undefined;
  }
}

function readUnified(group: string): ContainerStats {
  const read = (file: string) => readFileSync(join(mountPoint, group, file), "utf8");
  const swap = existsSync(join(mountPoint, group, "memory.swap.current"))
    ? Number(read("memory.swap.current"))
    : 0;
  return {
    memoryBytes: workingSet(
      Number(read("memory.current")),
      row(read("memory.stat"), "inactive_file"),
      swap,
    ),
    outOfMemoryKills: row(read("memory.events"), "oom_kill"),
    cpuMicroseconds: row(read("cpu.stat"), "usage_usec"),
    processes: Number(read("pids.current")),
  };
}

function readVersion1(group: string): ContainerStats {
  const read = (controller: string, file: string) =>
    readFileSync(join(mountPoint, controller, group, file), "utf8");
  const memory = read("memory", "memory.stat");
  return {
    memoryBytes: workingSet(
      Number(read("memory", "memory.usage_in_bytes")),
      row(memory, "total_inactive_file"),
      row(memory, "total_swap"),
    ),
    outOfMemoryKills: row(read("memory", "memory.oom_control"), "oom_kill"),
    cpuMicroseconds: Math.round(Number(read("cpuacct", "cpuacct.usage")) / 1000),
    processes: Number(read("pids", "pids.current")),
  };
}

function workingSet(used: number, droppable: number, swapped: number): number {
  return Math.max(0, used - droppable) + swapped;
}

/** The number of a row `name number`; 0 when there is none. */
function row(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
}
