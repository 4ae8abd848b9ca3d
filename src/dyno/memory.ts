import type { DynoSize } from "../model/dyno-size.ts";

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
