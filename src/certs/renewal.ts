/** When a certificate is due: when a third of its life is left. */
export function renewAtMs(validity: { notBeforeMs: number; notAfterMs: number }): number {
  return validity.notAfterMs - (validity.notAfterMs - validity.notBeforeMs) / 3;
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
