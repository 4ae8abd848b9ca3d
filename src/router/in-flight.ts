/** Counts what is under way for each name, and tells when nothing is left. */
export interface InFlight {
  /** Each is followed by one `leave`. */
  enter(name: string): void;
  leave(name: string): void;
  count(name: string): number;
  all(): Record<string, number>;
  /** Resolves with what is left: 0, or more when the time is over first. */
  whenIdle(name: string, timeoutMs: number): Promise<number>;
}

/** An empty count. */
export function createInFlight(): InFlight {
  const counts = new Map<string, number>();
  const waiters = new Map<string, Set<() => void>>();
  return {
    enter: (name) => void counts.set(name, (counts.get(name) ?? 0) + 1),
    leave(name) {
      const left = (counts.get(name) ?? 1) - 1;
      if (left > 0) {
        counts.set(name, left);
        return;
      }
      counts.delete(name);
      for (const resolve of waiters.get(name) ?? []) resolve();
    },
    count: (name) => counts.get(name) ?? 0,
    all: () => Object.fromEntries(counts),
    whenIdle(name, timeoutMs) {
      if (!counts.has(name)) return Promise.resolve(0);
      return new Promise((resolve) => {
        const names = waiters.get(name) ?? new Set();
        waiters.set(name, names);
        const settle = () => {
          clearTimeout(timer);
          names.delete(settle);
          if (names.size === 0) waiters.delete(name);
          resolve(counts.get(name) ?? 0);
        };
        const timer = setTimeout(settle, timeoutMs);
        names.add(settle);
      });
    },
  };
}
