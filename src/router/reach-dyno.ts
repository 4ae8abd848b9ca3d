import { affinityCookie, stickyDyno } from "./affinity.ts";
import { chooseDyno, decide } from "./balancer.ts";
import type { Exchange } from "./exchange.ts";
import type { RouteApp, RouteDyno } from "./route-table.ts";
import type { RouterErrorCode } from "./router-error.ts";
import { connect } from "./sockets.ts";
import type { Wire } from "./wire.ts";

/** The request counts as one of the dyno's. */
export interface ReachedDyno {
  dyno: RouteDyno;
  key: string;
  wire: Wire;
}

/**
 * A connection to a random dyno of the app; waits while one is starting (contract §3.1), and has one
 * started when the app is asleep.
 */
export function reachDyno(
  exchange: Exchange,
  appId: string,
): ReachedDyno | RouterErrorCode | Promise<ReachedDyno | RouterErrorCode> {
  return reachOneThatIsUp(exchange, appId) ?? waitForDyno(exchange, appId);
}

const firstBackOffMs = 50;
const longestBackOffMs = 1_000;

/** Nothing when there is none to be reached yet. */
function reachOneThatIsUp(
  exchange: Exchange,
  appId: string,
): ReachedDyno | RouterErrorCode | Promise<ReachedDyno | RouterErrorCode> | undefined {
  const { door, client } = exchange;
  if (client.wire.ended) return "H27";
  const app = door.routes.current.apps.get(appId);
  // The app was taken away while its request was waiting.
  if (app === undefined) return "H14";
  const decision = decide(app);
  if (decision.kind === "error") return decision.code;
  const dynos = decision.kind === "dynos" ? decision.dynos : [];
  const backlog = Math.max(1, decision.kind === "dynos" ? dynos.length : app.webQuantity);
  if (door.apps.count(appId) > door.limits.requestsPerDyno * backlog) return "H11";
  if (dynos.every(({ id }) => door.quarantine.has(id))) return undefined;
  return connectToOne(exchange, app, dynos);
}

async function waitForDyno(
  exchange: Exchange,
  appId: string,
): Promise<ReachedDyno | RouterErrorCode> {
  const { door, client } = exchange;
  const holdUntilMs = performance.now() + door.limits.bootMs;
  let backOffMs = firstBackOffMs;
  let doneWaking: (() => void) | undefined;
  try {
    for (;;) {
      const app = door.routes.current.apps.get(appId);
      const decision = app && decide(app);
      if (decision?.kind === "dynos") {
        // None could be reached a moment ago: wait for one, a little longer each time (contract §3.1).
        if (performance.now() >= holdUntilMs) return "H34";
        await nextTable(exchange, Math.min(holdUntilMs, performance.now() + backOffMs));
        backOffMs = Math.min(2 * backOffMs, longestBackOffMs);
      } else {
        if (decision?.kind === "hold" && decision.wake) doneWaking ??= door.wakes.ask(appId);
        else {
          doneWaking?.();
          doneWaking = undefined;
        }
        if (!(await nextTable(exchange, holdUntilMs))) return client.wire.ended ? "H27" : "H20";
      }
      const reached = reachOneThatIsUp(exchange, appId);
      if (reached !== undefined) return await reached;
    }
  } finally {
    doneWaking?.();
  }
}

/** True when there is a new table, false when the time is over or the client is gone. */
function nextTable({ door, client }: Exchange, untilMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (changed: boolean) => {
      clearTimeout(timer);
      forget();
      client.wire.onGone = undefined;
      resolve(changed);
    };
    const forget = door.routes.onChange(() => settle(true));
    const timer = setTimeout(() => settle(false), Math.max(0, untilMs - performance.now()));
    client.wire.onGone = { gone: () => settle(false) };
  });
}

/** The name under which idle connections to a dyno are kept. */
export function connectionKey(dyno: RouteDyno): string {
  let key = connectionKeys.get(dyno);
  if (key === undefined) {
    key = `${dyno.id} ${dyno.address} ${dyno.port}`;
    connectionKeys.set(dyno, key);
  }
  return key;
}

const connectionKeys = new WeakMap<RouteDyno, string>();

/** Tries dynos until one takes the connection. Nothing of the request is sent before that. */
function connectToOne(
  exchange: Exchange,
  app: RouteApp,
  dynos: readonly RouteDyno[],
): ReachedDyno | RouterErrorCode | Promise<ReachedDyno | RouterErrorCode> {
  const sticky = app.sessionAffinity === true;
  const first = chooseDyno(dynos, {
    tried: noneTried,
    sticky: sticky ? stickyDyno(exchange.head.headers, dynos) : undefined,
    isQuarantined: (id) => exchange.door.quarantine.has(id),
  });
  if (first === undefined) return "H21";
  return takeIdle(exchange, app, first) ?? connectAnew(exchange, app, dynos, first);
}

const noneTried: ReadonlySet<string> = new Set();

/** A connection to a dyno that waits for its next request, if there is one. */
function takeIdle(exchange: Exchange, app: RouteApp, dyno: RouteDyno): ReachedDyno | undefined {
  const key = connectionKey(dyno);
  const wire = exchange.door.idle.take(key);
  if (wire === undefined) return undefined;
  exchange.connectMs = 0;
  exchange.door.dynos.enter(dyno.id);
  return reachedBy(exchange, app, { dyno, key, wire });
}

function reachedBy(exchange: Exchange, app: RouteApp, reached: ReachedDyno): ReachedDyno {
  exchange.dyno = reached.dyno.name;
  if (app.sessionAffinity === true) keepClientAt(exchange, reached.dyno);
  return reached;
}

async function connectAnew(
  exchange: Exchange,
  app: RouteApp,
  dynos: readonly RouteDyno[],
  first: RouteDyno,
): Promise<ReachedDyno | RouterErrorCode> {
  const { door, client } = exchange;
  const { connectAttempts, connectMs } = door.limits;
  const tried = new Set<string>();
  let failure: RouterErrorCode = "H21";
  let dyno: RouteDyno | undefined = first;
  while (dyno !== undefined && tried.size < connectAttempts && !client.wire.ended) {
    const idle: ReachedDyno | undefined =
      tried.size > 0 ? takeIdle(exchange, app, dyno) : undefined;
    if (idle !== undefined) return idle;
    tried.add(dyno.id);
    exchange.dyno = dyno.name;
    door.dynos.enter(dyno.id);
    const startedAtMs = performance.now();
    const wire = await connect(
      { hostname: dyno.address, port: dyno.port },
      { timeoutMs: connectMs },
    );
    exchange.connectMs = performance.now() - startedAtMs;
    if (typeof wire !== "string")
      return reachedBy(exchange, app, { dyno, key: connectionKey(dyno), wire });
    door.dynos.leave(dyno.id);
    door.quarantine.add(dyno.id);
    failure = wire === "timeout" ? "H19" : "H21";
    dyno = chooseDyno(dynos, { tried, isQuarantined: (id) => door.quarantine.has(id) });
  }
  return client.wire.ended ? "H27" : failure;
}

function keepClientAt({ addedHeaders, head }: Exchange, dyno: RouteDyno): void {
  const value = affinityCookie(head.headers, {
    ...{ dynoId: dyno.id, host: head.host, nowMs: Date.now() },
  });
  if (value !== undefined) addedHeaders.push({ name: "Set-Cookie", value });
}
