import { readFileSync } from "node:fs";
import { libc } from "./libc.ts";

/**
 * On Linux, makes this process the parent of whatever its descendants orphan (prctl(2),
 * PR_SET_CHILD_SUBREAPER), so that none of them gets out of sight. Elsewhere init is their parent.
 */
export function adoptOrphans(): void {
  libc()?.prctl(setChildSubreaper, 1n, 0n, 0n, 0n);
}

/**
 * Takes the exit statuses of adopted processes; `own` are the children that somebody waits for. With
 * another C library nothing is adopted, and init takes them.
 */
export function reapOrphans(own: Set<number>): void {
  const calls = libc();
  if (!calls) return;
  for (const pid of children()) if (!own.has(pid)) calls.waitpid(pid, null, withoutWaiting);
}

function children(): number[] {
  const text = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}

const setChildSubreaper = 36;
const withoutWaiting = 1;
