import { readdirSync, readFileSync } from "node:fs";
import { execNow } from "./exec.ts";

/** Which process a pid means: the kernel gives the same number out again, but not with the same start. */
export interface ProcessIdentity {
  pid: number;
  startedAt: string;
}

export interface ProcessRow extends ProcessIdentity {
  parent: number;
  group: number;
  /** 0 where the system does not tell it. */
  session: number;
  /** Its own time and that of children it has waited for. */
  cpuMicroseconds: number;
}

const isLinux = process.platform === "linux";

/** All processes of this machine that have not ended, read from /proc or else from ps. */
export function processTable(): ProcessRow[] {
  if (!isLinux) return parsePs(execNow(["ps", "-ax", ...psColumns]));
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processRow(Number(name)) ?? []);
}

/** One process; nothing when there is none, or only its exit status is left. */
export function processRow(pid: number): ProcessRow | undefined {
  if (!isLinux) return parsePs(execNow(["ps", "-p", String(pid), ...psColumns]))[0];
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"), bootId());
  } catch {
    return undefined;
  }
}

/** Whether exactly this process, and not a later one with its number, is there. */
export function isRunning({ pid, startedAt }: ProcessIdentity): boolean {
  return processRow(pid)?.startedAt === startedAt;
}

/** Whether there is any process with this number. */
export function pidExists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Memory of one process that only its end or the swap can free; an estimate where /proc is missing. */
export function residentBytes(pid: number): number {
  if (!isLinux) return Number(execNow(["ps", "-p", String(pid), "-o", "rss="])) * 1024;
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const rows = status.matchAll(/^(?:RssAnon|RssShmem|VmSwap):\s+(\d+) kB$/gm);
    return [...rows].reduce((sum, [, kibibytes]) => sum + Number(kibibytes) * 1024, 0);
  } catch {
    return 0;
  }
}

/** Starts are counted from the machine's own start, so that one is part of them. */
function bootId(): string {
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return boot;
}
let boot: string | undefined;

/** Reads `/proc/PID/stat` (proc(5)); times are in hundredths of a second. Pure. */
export function parseStat(text: string, bootedAs: string): ProcessRow | undefined {
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  const number = (index: number) => Number(fields[index]);
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return {
    pid: Number.parseInt(text, 10),
    parent: number(1),
    group: number(2),
    session: number(3),
    cpuMicroseconds: (number(11) + number(12) + number(13) + number(14)) * 10_000,
    startedAt: `${bootedAs} ${fields[19]}`,
  };
}

/** One flag a column: after the first `=`, the ps of BSD takes everything for a title. */
const psColumns = ["pid=", "ppid=", "pgid=", "state=", "time=", "lstart="].flatMap((column) => [
  "-o",
  column,
]);

/** Reads what `ps` says with these columns. Pure. */
export function parsePs(text: string): ProcessRow[] {
  return text.split("\n").flatMap((line) => {
    const [pid, parent, group, state, time = "", ...start] = line.trim().split(/\s+/);
    if (start.length === 0 || state?.startsWith("Z")) return [];
    return {
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      session: 0,
      cpuMicroseconds: parsePsTime(time),
      startedAt: start.join(" "),
    };
  });
}

/** `1-02:03:04` or `2:03.45` → microseconds. */
function parsePsTime(text: string): number {
  const [days, clock] = text.includes("-") ? text.split("-") : ["0", text];
  const seconds = (clock ?? "").split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return Math.round((Number(days) * 86_400 + seconds) * 1_000_000);
}
