/** How much a peer may ask for that brings nothing forward. */
export interface Patience {
  /** False when there is none left. */
  strain(weight: number): boolean;
  /** Something was brought forward. */
  relieve(weight: number): void;
}

/** Full at the start; it comes back with time, so that a connection may last for days. */
export function createPatience(options: { most: number; perSecond: number }): Patience {
  let strained = 0;
  let sinceMs = performance.now();
  return {
    strain(weight) {
      const nowMs = performance.now();
      const rested = ((nowMs - sinceMs) / 1_000) * options.perSecond;
      strained = Math.max(0, strained - rested) + weight;
      sinceMs = nowMs;
      return strained <= options.most;
    },
    relieve(weight) {
      strained = Math.max(0, strained - weight);
    },
  };
}
