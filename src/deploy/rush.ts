import type { ActivityReport, AppActivity } from "../router/activity.ts";

/** People come in waves. */
const lastsMs = 60_000;

/** What of a dyno is looked at. */
export interface AskedDyno {
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
    activity: ActivityReport,
    dynos: AskedDyno[],
    nowMs = performance.now(),
  ): ReadonlySet<string> | null {
    const asked = Object.values(activity.apps).reduce((sum, app) => sum + app.asked, 0);
    const before = this.#before ?? { asked, atMs: nowMs };
    this.#before = { asked, atMs: nowMs };
    const seconds = (nowMs - before.atMs) / 1000;
    if (seconds > 0 && (asked - before.asked) / seconds >= this.#perSecond) this.#lastMs = nowMs;
    if (nowMs - this.#lastMs >= lastsMs) return null;
    const isAsked = ({ app, dyno }: AskedDyno) =>
      dyno.type === "web" && wasAsked(activity.apps[app.id]);
    return new Set(dynos.filter(isAsked).map(({ dyno }) => dyno.id));
  }
}

function wasAsked(app: AppActivity | undefined): boolean {
  return app !== undefined && (app.requests + app.tunnels > 0 || app.idleMs < lastsMs);
}
