import type { Wire } from "./wire.ts";

/** Breaks off a client that takes nothing of what it has asked for, unless its watchdog is set anew. */
export function cutOffWhenSilent(wire: Wire, idleMs: number): void {
  const watched = {
    late() {
      const leftMs = wire.activeAtMs + idleMs - performance.now();
      if (leftMs <= 0) wire.terminate();
      else wire.watchdog.set(leftMs, watched);
    },
  };
  wire.watchdog.set(idleMs, watched);
}
