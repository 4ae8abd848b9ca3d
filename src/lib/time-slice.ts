import { ptr } from "bun:ffi";
import { libc } from "./libc.ts";

/** The shortest that the kernel takes (sched(7)). */
const shortestNs = 100_000n;

/** What `sched_getattr` and `sched_setattr` exchange: the first version of the kernel's `sched_attr`. */
const attributes = { bytes: 48, policyAt: 4, sliceAt: 24 };
/** What the system calls are called by on this machine; no other ones have a C function yet. */
const callNumbers: Partial<Record<string, { set: number; get: number }>> = {
  x64: { set: 314, get: 315 },
  arm64: { set: 274, get: 275 },
};

/**
 * Lets a process run as soon as it wakes, though another one has just been given the processor: for
 * what answers people, beside what computes. The shorter its time slice, the sooner comes its turn,
 * and no more of them; its children have the same. From Linux 6.12 on; elsewhere all stays as it is.
 */
export function answerPromptly(pid: number): void {
  const values = readAttributes(pid);
  // A real-time process, or one that gives way to all, was made so by somebody.
  if (!values || values.getUint32(attributes.policyAt, true) !== 0) return;
  values.setBigUint64(attributes.sliceAt, shortestNs, true);
  call("set", pid, values);
}

/** A process's time slice in nanoseconds; 0 where the kernel does not tell it. */
export function timeSlice(pid: number): number {
  return Number(readAttributes(pid)?.getBigUint64(attributes.sliceAt, true) ?? 0n);
}

function readAttributes(pid: number): DataView | undefined {
  const values = new DataView(new ArrayBuffer(attributes.bytes));
  return call("get", pid, values) === 0 ? values : undefined;
}

function call(name: "get" | "set", pid: number, values: DataView): number {
  const number = callNumbers[process.arch]?.[name];
  const calls = libc();
  if (number === undefined || !calls) return -1;
  values.setUint32(0, attributes.bytes, true);
  const size = name === "get" ? attributes.bytes : 0;
  return Number(calls.syscall(number, pid, ptr(values.buffer), size, 0));
}
