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

interface Idle {
  wire: Wire;
  sinceMs: number;
  untilMs: number;
}

const sweepMs = 250;
const maxPerKey = 128;

/** No connections yet; `lastWordMs` is for a dyno that does not follow when one is closed. */
export function createIdleConnections(options: {
  idleMs: number;
  lastWordMs: number;
}): IdleConnections {
  const idle = new Map<string, Idle[]>();
  /** How long a dyno was seen to keep a connection, halved. */
  const seenMs = new Map<string, number>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  function release(entry: Idle): Wire {
    entry.wire.onGone = undefined;
    return entry.wire;
  }

  function drop(key: string, isDropped: (entry: Idle) => boolean): void {
    const entries = idle.get(key) ?? [];
    for (const entry of entries) if (isDropped(entry)) release(entry).close(options.lastWordMs);
    const kept = entries.filter((entry) => !isDropped(entry));
    if (kept.length > 0) idle.set(key, kept);
    else idle.delete(key);
  }

  function sweep(): void {
    const now = performance.now();
    for (const key of idle.keys()) drop(key, ({ untilMs }) => untilMs <= now);
    timer = idle.size > 0 ? setTimeout(sweep, sweepMs) : undefined;
  }

  return {
    take(key) {
      const entries = idle.get(key);
      const now = performance.now();
      for (let entry = entries?.pop(); entry !== undefined; entry = entries?.pop()) {
        const wire = release(entry);
        if (!wire.ended && !wire.hasBytes && entry.untilMs > now) return wire;
        wire.close(options.lastWordMs);
      }
      return undefined;
    },
    put(key, wire, maxIdleMs) {
      const entries = idle.get(key) ?? [];
      idle.set(key, entries);
      const sinceMs = performance.now();
      const keepMs = Math.min(options.idleMs, maxIdleMs, seenMs.get(key) ?? Infinity);
      if (entries.length >= maxPerKey || keepMs < 1) return wire.close(options.lastWordMs);
      const entry = { wire, sinceMs, untilMs: sinceMs + keepMs };
      entries.push(entry);
      wire.onGone = () => {
        seenMs.set(key, Math.min(seenMs.get(key) ?? Infinity, (performance.now() - sinceMs) / 2));
        drop(key, (other) => other === entry);
      };
      timer ??= setTimeout(sweep, sweepMs);
    },
    retain(isWanted) {
      for (const key of idle.keys()) if (!isWanted(key)) drop(key, () => true);
      for (const key of seenMs.keys()) if (!isWanted(key)) seenMs.delete(key);
      if (idle.size > 0) return;
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
