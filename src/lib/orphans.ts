import { dlopen } from "bun:ffi";
import { readFileSync } from "node:fs";

/**
 * On Linux, makes this process the parent of whatever its descendants orphan (prctl(2),
 * PR_SET_CHILD_SUBREAPER), so that none of them gets out of sight. Elsewhere init is their parent.
 */
export function adoptOrphans(): void {
  library()?.prctl(setChildSubreaper, 1n, 0n, 0n, 0n);
}

/** Takes the exit statuses of adopted processes; `own` are the children that somebody waits for. */
export function reapOrphans(own: Set<number>): void {
  const calls = library();
  if (!calls) return;
  for (const pid of children()) if (!own.has(pid)) calls.waitpid(pid, null, withoutWaiting);
}

function children(): number[] {
  const text = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}

const setChildSubreaper = 36;
const withoutWaiting = 1;

function library() {
  opened ??= { calls: process.platform === "linux" ? open() : undefined };
  return opened.calls;
}
let opened: { calls: ReturnType<typeof open> } | undefined;

function open() {
  try {
    return dlopen("libc.so.6", {
      prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
      waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
    }).symbols;
  } catch {
    // Another C library: init takes them, and finds their exit statuses.
    return undefined;
  }
}
