import { dlopen } from "bun:ffi";

/** Linux's C library, for what Bun has no function for; nothing elsewhere, or with another C library. */
export function libc() {
  opened ??= { calls: process.platform === "linux" ? open() : undefined };
  return opened.calls;
}
let opened: { calls: ReturnType<typeof open> } | undefined;

function open() {
  try {
    return dlopen("libc.so.6", {
      prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
      waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
      /** With as many arguments as the system calls that are asked for have. */
      syscall: { args: ["i64", "i64", "ptr", "u64", "u64"], returns: "i64" },
    }).symbols;
  } catch {
    return undefined;
  }
}
