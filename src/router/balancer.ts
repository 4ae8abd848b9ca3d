import type { RouteApp, RouteDyno } from "./route-table.ts";
import type { RouterErrorCode } from "./router-error.ts";

export type Decision =
  | { kind: "dynos"; dynos: readonly RouteDyno[] }
  | { kind: "hold"; wake: boolean }
  | { kind: "error"; code: RouterErrorCode };

/** What becomes of a request to an app, from the table alone (contract §3.1, §3.7). */
export function decide(app: RouteApp): Decision {
  if (app.maintenance) return { kind: "error", code: "H80" };
  if (!app.deployed) return { kind: "error", code: "H81" };
  if (app.dynos.length > 0) return { kind: "dynos", dynos: app.dynos };
  if (app.webQuantity === 0) return { kind: "error", code: "H14" };
  if (app.sleeping === true) return { kind: "hold", wake: true };
  if (app.starting || !app.crashed) return { kind: "hold", wake: false };
  return { kind: "error", code: "H10" };
}

/**
 * A random dyno that was not tried yet; one that lately could not be reached only when there is no
 * other. Nothing when all were tried.
 */
export function chooseDyno(
  dynos: readonly RouteDyno[],
  options: {
    tried: ReadonlySet<string>;
    isQuarantined: (dynoId: string) => boolean;
    /** Where the client was before: the first choice, while it can be reached. */
    sticky?: RouteDyno | undefined;
    random?: () => number;
  },
): RouteDyno | undefined {
  const untried = without(dynos, ({ id }) => options.tried.has(id));
  const healthy = without(untried, ({ id }) => options.isQuarantined(id));
  if (options.sticky !== undefined && healthy.includes(options.sticky)) return options.sticky;
  const candidates = healthy.length > 0 ? healthy : untried;
  return candidates[Math.floor((options.random ?? Math.random)() * candidates.length)];
}

/** The same list, usually: hardly ever there is one to leave out. */
function without(
  dynos: readonly RouteDyno[],
  isLeftOut: (dyno: RouteDyno) => boolean,
): readonly RouteDyno[] {
  return dynos.some(isLeftOut) ? dynos.filter((dyno) => !isLeftOut(dyno)) : dynos;
}

export interface Quarantine {
  add(dynoId: string): void;
  has(dynoId: string): boolean;
}

/** Remembers for a while which dynos could not be reached. */
export function createQuarantine(durationMs: number): Quarantine {
  const until = new Map<string, number>();
  return {
    add(dynoId) {
      const now = performance.now();
      for (const [id, endMs] of until) if (endMs <= now) until.delete(id);
      until.set(dynoId, now + durationMs);
    },
    has: (dynoId) => until.size > 0 && (until.get(dynoId) ?? 0) > performance.now(),
  };
}
