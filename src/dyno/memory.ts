import type { Dyno } from "../model/dyno.ts";
import type { DynoSize, DynoSizes } from "../model/dyno-size.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sizeOf } from "./dyno-spec.ts";

const mebibyte = 1024 * 1024;

/** `Process running mem=1028M(103.3%)`, as Heroku writes it (contract §1.12). Pure. */
function memoryLine(memoryBytes: number, { memoryBytes: quota }: DynoSize): string {
  const percent = ((memoryBytes / quota) * 100).toFixed(1);
  return `Process running mem=${Math.round(memoryBytes / mebibyte)}M(${percent}%)`;
}

/** What the log says of a dyno that uses so much: nothing, or R14 (contract clause 35). Pure. */
export function overQuotaLines(memoryBytes: number, size: DynoSize): string[] {
  if (memoryBytes <= size.memoryBytes) return [];
  return [memoryLine(memoryBytes, size), "Error R14 (Memory quota exceeded)"];
}

/** What the log says of a dyno of which the kernel has killed processes for want of memory. Pure. */
export function outOfMemoryLines(memoryBytes: number, size: DynoSize): string[] {
  return [
    memoryLine(Math.max(memoryBytes, size.memoryKillBytes), size),
    "Error R15 (Memory quota vastly exceeded)",
    `The kernel ended it: it needed more than ${Math.round(size.memoryKillBytes / mebibyte)} MB`,
  ];
}

interface MemoryContext {
  runtime: Runtime;
  sizes: DynoSizes;
}

/** Tells of a dyno that uses more than its quota; called every 20 s or so (contract clause 35). */
export function watchMemory(
  { runtime, sizes }: MemoryContext,
  dyno: Dyno,
  log: (line: string) => void,
): void {
  const stats = runtime.stats(dyno.id);
  if (stats) overQuotaLines(stats.memoryBytes, sizeOf(sizes, dyno)).forEach(log);
}

/** Tells of a dyno that has just ended what the kernel has ended of it for want of memory. */
export function tellOfMemoryKills(
  { runtime, sizes }: MemoryContext,
  dyno: Dyno,
  log: (line: string) => void,
): void {
  const stats = runtime.stats(dyno.id);
  if (!stats || stats.outOfMemoryKills === 0) return;
  outOfMemoryLines(stats.memoryBytes, sizeOf(sizes, dyno)).forEach(log);
}
