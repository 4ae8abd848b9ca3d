/** What the requests of one app were like, as far as this router saw them. */
export interface AppActivity {
  /** Requests so far that were brought to a dyno. */
  asked: number;
  /** Requests under way. */
  requests: number;
  /** WebSockets and the like that are open. */
  tunnels: number;
  /** Since a request or tunnel last began or ended; never more than the router has looked. */
  idleMs: number;
}

export interface ActivityReport {
  /** How long the router has looked: an app that is not listed was asked nothing for as long. */
  observedMs: number;
  apps: Record<string, AppActivity>;
}

/** One request, from its begin to its end; `becomeTunnel` when it is none any more. */
export class Visit {
  readonly #counts: Counts;
  #kind: "requests" | "tunnels" | undefined = "requests";

  constructor(counts: Counts) {
    this.#counts = counts;
    counts.requests++;
    counts.atMs = performance.now();
  }

  /** A dyno has the request. */
  reachDyno(): void {
    this.#counts.asked++;
  }

  becomeTunnel(): void {
    this.#move("tunnels");
  }

  end(): void {
    this.#move(undefined);
  }

  #move(to: "tunnels" | undefined): void {
    if (this.#kind === undefined || this.#kind === to) return;
    this.#counts[this.#kind]--;
    if (to !== undefined) this.#counts[to]++;
    this.#kind = to;
    this.#counts.atMs = performance.now();
  }
}

export interface Activity {
  begin(appId: string): Visit;
  report(): ActivityReport;
  /** Forgets the apps that are not there any more. */
  retain(isWanted: (appId: string) => boolean): void;
}

interface Counts {
  asked: number;
  requests: number;
  tunnels: number;
  atMs: number;
}

/** Remembers when each app was last asked for something, so that the server can let it sleep. */
export function createActivity(): Activity {
  const startedAtMs = performance.now();
  const apps = new Map<string, Counts>();
  return {
    begin(appId) {
      let counts = apps.get(appId);
      if (counts === undefined)
        apps.set(appId, (counts = { asked: 0, requests: 0, tunnels: 0, atMs: 0 }));
      return new Visit(counts);
    },
    report() {
      const now = performance.now();
      return {
        observedMs: Math.floor(now - startedAtMs),
        apps: Object.fromEntries(
          [...apps].map(([appId, { atMs, ...counts }]) => [
            appId,
            { ...counts, idleMs: Math.floor(now - atMs) },
          ]),
        ),
      };
    },
    retain(isWanted) {
      for (const appId of apps.keys()) if (!isWanted(appId)) apps.delete(appId);
    },
  };
}
