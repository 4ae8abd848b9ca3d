/** What the router has to tell the server. */
export type RouterEvent = { wake: string };

/** The sleeping apps for which requests wait, and who wants to hear of them. */
export interface Wakes {
  /** A request waits for this app; returns how to say that it does no more. */
  ask(appId: string): () => void;
  /** Hears of the apps that somebody waits for, then of each new one. */
  listen(listener: (event: RouterEvent) => void): () => void;
}

/** Nobody waits yet. What is waited for is said again to each new listener, so none gets lost. */
export function createWakes(): Wakes {
  const waiting = new Map<string, number>();
  const listeners = new Set<(event: RouterEvent) => void>();
  return {
    ask(appId) {
      const before = waiting.get(appId) ?? 0;
      waiting.set(appId, before + 1);
      if (before === 0) for (const listener of listeners) listener({ wake: appId });
      let asked = true;
      return () => {
        if (!asked) return;
        asked = false;
        const left = (waiting.get(appId) ?? 1) - 1;
        if (left > 0) waiting.set(appId, left);
        else waiting.delete(appId);
      };
    },
    listen(listener) {
      listeners.add(listener);
      for (const wake of waiting.keys()) listener({ wake });
      return () => listeners.delete(listener);
    },
  };
}
