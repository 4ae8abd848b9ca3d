/** When a certificate is due: when a third of its life is left. */
export function renewAtMs(validity: { notBeforeMs: number; notAfterMs: number }): number {
  return validity.notAfterMs - (validity.notAfterMs - validity.notBeforeMs) / 3;
}

const dayMs = 24 * 3_600_000;

/**
 * How the end of a certificate that does not renew itself is told, in the words that follow its
 * name; `undefined` while that is more than 30 days away, or than a third of its life.
 */
export function expiryWords(
  validity: { notBeforeMs: number; notAfterMs: number },
  nowMs: number,
): string | undefined {
  const { notAfterMs } = validity;
  if (nowMs < Math.max(notAfterMs - 30 * dayMs, renewAtMs(validity))) return undefined;
  const at = `${new Date(notAfterMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  if (nowMs >= notAfterMs) return `expired on ${at}`;
  const days = Math.floor((notAfterMs - nowMs) / dayMs);
  if (days === 0) return `expires in less than a day, on ${at}`;
  return `expires in ${days} ${days === 1 ? "day" : "days"}, on ${at}`;
}

/** Whether it is to be told (again): once a day, also when the clock was put back. */
export function isWarningDue(warnedAtMs: number | null, nowMs: number): boolean {
  return warnedAtMs === null || Math.abs(nowMs - warnedAtMs) >= dayMs;
}

export interface BackOff {
  firstMs: number;
  longestMs: number;
}

/**
 * Let's Encrypt allows 5 failed validations of a name an hour: 15 minutes, doubled each time, make
 * at most 3, and one a day in the end.
 */
export const usualBackOff: BackOff = { firstMs: 15 * 60_000, longestMs: 24 * 3_600_000 };

/** How long to wait after so many failures in a row; `spread` (0 to 1) keeps many names apart. */
export function waitAfterMs(failures: number, backOff: BackOff, spread: number): number {
  const ms = Math.min(backOff.longestMs, backOff.firstMs * 2 ** Math.min(20, failures - 1));
  return Math.round(ms * (1 + 0.2 * spread));
}
