import type { LiveDyno } from "../dyno/live-dyno.ts";
import type { ActivityReport, AppActivity } from "../router/activity.ts";

/** One page and all that belongs to it is no rush. */
const measuredMs = 9_000;
/** People come in waves. */
const lastsMs = 60_000;

/** What of a dyno is looked at. */
export interface AskedDyno extends Pick<LiveDyno, "state"> {
  app: { id: string };
  dyno: { id: string; type: string };
}

/**
 * Sees when people ask much of the apps. While they do, and a minute longer, those who are asked
 * come before those who are not: where a program computes on all processors, whoever is asked waits
 * for the kernel's next tick to get one, however little it needs and however much it weighs.
 */
export class Rush {
  readonly #perSecond: number;
  #before: { asked: number; atMs: number } | undefined;
  #lastMs = -Infinity;

  /** A rush begins with so many requests a second, to all apps together; `null`: never. */
  constructor(perSecond: number | null) {
    this.#perSecond = perSecond ?? Infinity;
  }

  /** The ids of the dynos that are asked, now that the router has seen so much; `null`: no rush. */
  look(
    { apps }: ActivityReport,
    dynos: AskedDyno[],
    nowMs = performance.now(),
  ): ReadonlySet<string> | null {
    this.#measure(
      Object.values(apps).reduce((sum, app) => sum + app.asked, 0),
      nowMs,
    );
    if (nowMs - this.#lastMs >= lastsMs) return null;
    // One that is starting will be asked, and measures itself by what it has now.
    const isAsked = ({ app, dyno, state }: AskedDyno) =>
      dyno.type === "web" && (state === "starting" || wasAsked(apps[app.id]));
    const asked = dynos.filter(isAsked).map(({ dyno }) => dyno.id);
    return asked.length > 0 ? new Set(asked) : null;
  }

  #measure(asked: number, atMs: number): void {
    this.#before ??= { asked, atMs };
    const ms = atMs - this.#before.atMs;
    if (ms < measuredMs) return;
    if ((asked - this.#before.asked) / ms >= this.#perSecond / 1000) this.#lastMs = atMs;
    this.#before = { asked, atMs };
  }
}

function wasAsked(app: AppActivity | undefined): boolean {
  return app !== undefined && (app.requests + app.tunnels > 0 || app.idleMs < lastsMs);
}
