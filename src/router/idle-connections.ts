import type { Wire } from "./wire.ts";

/**
 * Connections to dynos that wait for their next request. A request is never sent twice, so one that
 * meets a connection which the dyno is just closing is lost (H13): connections are kept for less
 * time than servers usually keep theirs (5 s), less than a server says, and less than it was seen
 * to do.
 */
export interface IdleConnections {
  take(key: string): Wire | undefined;
  put(key: string, wire: Wire, maxIdleMs: number): void;
  /** Closes those of which the key is not wanted any more. */
  retain(isWanted: (key: string) => boolean): void;
}

/** A connection that waits; it hears when the dyno ends it. */
class Idle {
  readonly wire: Wire;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly #lost: (entry: Idle) => void;

  constructor(wire: Wire, keepMs: number, lost: (entry: Idle) => void) {
    this.wire = wire;
    this.sinceMs = performance.now();
    this.untilMs = this.sinceMs + keepMs;
    this.#lost = lost;
    wire.onGone = this;
  }

  gone(): void {
    this.#lost(this);
  }
}

/** Those to one dyno. */
interface Pool {
  entries: Idle[];
  lost: (entry: Idle) => void;
}

const sweepMs = 250;
const maxPerKey = 128;

/** No connections yet; `lastWordMs` is for a dyno that does not follow when one is closed. */
export function createIdleConnections(options: {
  idleMs: number;
  lastWordMs: number;
}): IdleConnections {
  const pools = new Map<string, Pool>();
  /** How long a dyno was seen to keep a connection, halved. */
  const seenMs = new Map<string, number>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  function release(entry: Idle): Wire {
    entry.wire.onGone = undefined;
    return entry.wire;
  }

  function drop(key: string, isDropped: (entry: Idle) => boolean): void {
    const pool = pools.get(key);
    if (pool === undefined) return;
    for (const entry of pool.entries)
      if (isDropped(entry)) release(entry).close(options.lastWordMs);
    pool.entries = pool.entries.filter((entry) => !isDropped(entry));
    if (pool.entries.length === 0) pools.delete(key);
  }

  function poolOf(key: string): Pool {
    let pool = pools.get(key);
    if (pool !== undefined) return pool;
    pool = {
      entries: [],
      lost(lost) {
        const keptMs = performance.now() - lost.sinceMs;
        seenMs.set(key, Math.min(seenMs.get(key) ?? Infinity, keptMs / 2));
        drop(key, (entry) => entry === lost);
      },
    };
    pools.set(key, pool);
    return pool;
  }

  function sweep(): void {
    const now = performance.now();
    for (const key of pools.keys()) drop(key, ({ untilMs }) => untilMs <= now);
    timer = pools.size > 0 ? setTimeout(sweep, sweepMs) : undefined;
  }

  return {
    take(key) {
      const entries = pools.get(key)?.entries;
      if (entries === undefined || entries.length === 0) return undefined;
      const now = performance.now();
      for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
        const wire = release(entry);
        if (!wire.ended && !wire.hasBytes && entry.untilMs > now) return wire;
        wire.close(options.lastWordMs);
      }
      return undefined;
    },
    put(key, wire, maxIdleMs) {
      const pool = poolOf(key);
      const keepMs = Math.min(options.idleMs, maxIdleMs, seenMs.get(key) ?? Infinity);
      if (pool.entries.length >= maxPerKey || keepMs < 1) return wire.close(options.lastWordMs);
      pool.entries.push(new Idle(wire, keepMs, pool.lost));
      timer ??= setTimeout(sweep, sweepMs);
    },
    retain(isWanted) {
      for (const key of pools.keys()) if (!isWanted(key)) drop(key, () => true);
      for (const key of seenMs.keys()) if (!isWanted(key)) seenMs.delete(key);
      if (pools.size > 0) return;
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
