const minuteMs = 60_000;
/** Longest wait before the n-th attempt of a row of crashes (contract §1.8). */
const coolOffsMs = [0, 20 * minuteMs, 40 * minuteMs, 60 * minuteMs, 180 * minuteMs, 320 * minuteMs];

/** How long a dyno that has crashed `crashes` times in a row waits for its next start. Pure. */
export function restartDelayMs(crashes: number): number {
  const index = Math.min(Math.max(crashes, 1), coolOffsMs.length) - 1;
  return coolOffsMs[index] as number;
}
