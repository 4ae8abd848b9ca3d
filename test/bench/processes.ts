import { readdirSync, readFileSync } from "node:fs";

/** Processes with a word in their command lines, by their program's name if that is given. */
export function findPids(word: string, program = ""): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const argv = read(`/proc/${pid}/cmdline`).split("\0");
      return argv[0]?.endsWith(program) && argv.some((one) => one.includes(word));
    })
    .map(Number);
}

/** In megabytes; pages that processes share are counted once. */
export function pssMegabytes(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) / 1024;
}

/** Processor time so far, in ticks: 100 are a second. */
export function cpuTicks(pid: number): number {
  const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}

export function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
