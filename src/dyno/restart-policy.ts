import { createHash } from "node:crypto";

const minuteMs = 60_000;
/** Longest wait before the n-th attempt of a row of crashes (contract §1.8). */
const coolOffsMs = [0, 20 * minuteMs, 40 * minuteMs, 60 * minuteMs, 180 * minuteMs, 320 * minuteMs];

/** A dyno that has been up for so long has started correctly: its crashes are forgotten. */
const steadyAfterMs = 60_000;

/** How many crashes in a row it is with this one. Pure. */
export function crashesInARow(before: number, upForMs: number): number {
  return upForMs > steadyAfterMs ? 1 : before + 1;
}

/** How long a dyno that has crashed `crashes` times in a row waits for its next start. Pure. */
export function restartDelayMs(crashes: number): number {
  const index = Math.min(Math.max(crashes, 1), coolOffsMs.length) - 1;
  return coolOffsMs[index] as number;
}

const dayMs = 24 * 60 * minuteMs;
const longestExtraMs = 216 * minuteMs;

/**
 * When a dyno is cycled: 24 hours after its start and up to 216 minutes more, which its id decides,
 * so that every server comes to the same time (contract §1.9). Pure.
 */
export function cycleAtMs(dyno: { id: string; createdAt: Date }): number {
  const random = createHash("sha256").update(dyno.id).digest().readUInt32BE(0) / 2 ** 32;
  return dyno.createdAt.getTime() + dayMs + random * longestExtraMs;
}
