import { decideAccess } from "./access.ts";
import type { Visit } from "./activity.ts";
import { affinityCookie, stickyDyno } from "./affinity.ts";
import { chooseDyno, decide } from "./balancer.ts";
import {
  answerError,
  answerPage,
  answerText,
  logExchange,
  startExchange,
  type Afterwards,
  type Exchange,
} from "./exchange.ts";
import { hstsHeader } from "./forward-headers.ts";
import type { RequestHead } from "./http-head.ts";
import { rateKeyOf } from "./rate-limits.ts";
import { Relay, type RelayOwner } from "./relay.ts";
import { findUpstream, type RouteApp, type RouteDyno, type Routes } from "./route-table.ts";
import type { RouterErrorCode } from "./router-error.ts";
import { connect, connectToPlatform } from "./sockets.ts";
import type { Wire } from "./wire.ts";

type ServedRequest = Parameters<typeof startExchange>[0];

/** Who asks: it hears what becomes of its connection. */
export interface Asker {
  ended(afterwards: Afterwards): void;
  /** A bug was met; the connection cannot go on. */
  failed(error: unknown): void;
}

/** Serves one request, from its head to the end of its response. */
export function serveRequest(request: ServedRequest, asker: Asker): void {
  const { head, door } = request;
  const exchange = startExchange(request);
  const challenge = challengeAnswer(door.routes.current, head);
  if (challenge !== undefined)
    return asker.ended(
      answerText(exchange, { status: 200, type: "application/octet-stream", text: challenge }),
    );
  const upstream = findUpstream(door.routes.current, head.host);
  if (upstream === undefined)
    return asker.ended(answerPage(exchange, { status: 404, page: "no-such-app" }));
  if ("socket" in upstream) new PlatformRequest(exchange, asker).start(upstream.socket);
  else new AppRequest(exchange, upstream.app, asker).start();
}

const challengePath = "/.well-known/acme-challenge/";

/**
 * What a CA wants to hear (RFC 8555 §8.3): before all rules of the app, in maintenance too. Tokens
 * that are not ours are the app's.
 */
function challengeAnswer({ challenges }: Routes, head: RequestHead): string | undefined {
  if (challenges.size === 0 || !head.target.startsWith(challengePath)) return undefined;
  if (head.method !== "GET" && head.method !== "HEAD") return undefined;
  return challenges.get(head.target.slice(challengePath.length));
}

/** The name under which requests to the platform itself are counted. */
const platformName = "platform";

/** API and git: no time limits, since a push builds for minutes, and no log line of an app. */
class PlatformRequest implements RelayOwner {
  readonly timeLimits = false;
  readonly keepsUpstreams = false;
  readonly errorPageUrl = undefined;
  readonly #exchange: Exchange;
  readonly #asker: Asker;
  #isCounted = false;

  constructor(exchange: Exchange, asker: Asker) {
    this.#exchange = exchange;
    this.#asker = asker;
  }

  start(socket: string): void {
    const exchange = this.#exchange;
    if (exchange.head.expect === "something else")
      return this.ended(answerError(exchange, "H26-expect"));
    connectToPlatform(socket, {
      client: exchange.client.wire,
      timeoutMs: exchange.door.limits.connectMs,
    })
      .then((upstream) => {
        if (typeof upstream === "string") return this.ended(answerError(exchange, "H99"));
        exchange.door.dynos.enter(platformName);
        this.#isCounted = true;
        new Relay(exchange, upstream, this).start();
      })
      .catch((error: unknown) => this.failed(error));
  }

  becameTunnel(): void {
    this.#leave();
  }

  keepUpstream(): void {}

  ended(afterwards: Afterwards): void {
    this.#leave();
    this.#asker.ended(afterwards);
  }

  failed(error: unknown): void {
    this.#leave();
    this.#asker.failed(error);
  }

  #leave(): void {
    if (this.#isCounted) this.#exchange.door.dynos.leave(platformName);
    this.#isCounted = false;
  }
}

/** A request to an app: it counts as one of the app's and of its dyno's, and is logged at its end. */
class AppRequest implements RelayOwner {
  readonly timeLimits = true;
  readonly #exchange: Exchange;
  readonly #appId: string;
  readonly #asker: Asker;
  readonly #visit: Visit;
  #isCounted = true;
  #isFinished = false;
  #reached: ReachedDyno | undefined;

  constructor(exchange: Exchange, appId: string, asker: Asker) {
    this.#exchange = exchange;
    this.#appId = appId;
    this.#asker = asker;
    exchange.door.apps.enter(appId);
    this.#visit = exchange.door.activity.begin(appId);
  }

  get keepsUpstreams(): boolean {
    return this.#exchange.door.limits.reuseMs > 0;
  }

  get errorPageUrl(): string | undefined {
    return this.#app?.errorPageUrl;
  }

  get #app(): RouteApp | undefined {
    return this.#exchange.door.routes.current.apps.get(this.#appId);
  }

  start(): void {
    try {
      const exchange = this.#exchange;
      const refused = refuseByRules(exchange, this.#appId);
      if (refused !== undefined) return this.ended(refused);
      if (exchange.head.expect === "something else")
        return this.ended(answerError(exchange, "H26-expect"));
      const reached = reachDyno(exchange, this.#appId);
      if (!(reached instanceof Promise)) return this.#relay(reached);
      reached.then((later) => this.#relay(later)).catch((error: unknown) => this.failed(error));
    } catch (error) {
      this.failed(error);
    }
  }

  #relay(reached: ReachedDyno | RouterErrorCode): void {
    if (typeof reached === "string") return this.ended(this.#answerUnreached(reached));
    this.#reached = reached;
    new Relay(this.#exchange, reached.wire, this).start();
  }

  #answerUnreached(code: RouterErrorCode): Afterwards {
    const app = this.#app;
    if (code === "H81") return answerError(this.#exchange, code);
    const page = code === "H80" ? app?.maintenancePageUrl : app?.errorPageUrl;
    return answerError(this.#exchange, code, page);
  }

  becameTunnel(): void {
    this.#leave();
    this.#visit.becomeTunnel();
  }

  keepUpstream(wire: Wire, maxIdleMs: number): void {
    const { idle, stopping } = this.#exchange.door;
    const { dyno, key } = this.#reached!;
    // A dyno that was taken out of the table is about to stop; it gets no more requests.
    const stays = this.#app?.dynos.some((other) => isSame(other, dyno)) ?? false;
    idle.put(key, wire, stays && !stopping ? maxIdleMs : 0);
  }

  ended(afterwards: Afterwards): void {
    this.#finish();
    this.#asker.ended(afterwards);
  }

  failed(error: unknown): void {
    this.#finish();
    this.#asker.failed(error);
  }

  #finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#leave();
    this.#visit.end();
    logExchange(this.#exchange, this.#appId);
  }

  #leave(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    this.#exchange.door.apps.leave(this.#appId);
    if (this.#reached !== undefined) this.#exchange.door.dynos.leave(this.#reached.dyno.id);
  }
}

/** The app's own rules about who may ask, and how often; nothing when they let the request in. */
function refuseByRules(exchange: Exchange, appId: string): Afterwards | undefined {
  const { door, head, client } = exchange;
  const app = door.routes.current.apps.get(appId);
  if (app === undefined) return undefined;
  if (client.isMisdirected?.(head.host) === true) return answerError(exchange, "H31");
  const https = client.tlsVersion !== undefined;
  if (https && app.hsts) exchange.addedHeaders.push(hstsHeader(app.hsts));
  const access = decideAccess(app, {
    clientAddress: client.address,
    https,
    httpsPort: door.httpsPort,
    method: head.method,
    host: head.host,
    target: head.target,
    headers: head.headers,
  });
  switch (access.kind) {
    case "granted":
      return refuseByRate(exchange, appId, app);
    case "forbidden address":
      return answerError(exchange, access.kind);
    case "unauthorized":
      exchange.addedHeaders.push({ name: "WWW-Authenticate", value: access.challenge });
      return answerError(exchange, access.kind);
    case "redirect":
      exchange.status = access.status;
      exchange.addedHeaders.push({ name: "Location", value: access.location });
      return answerPage(exchange, { status: access.status, page: "moved" });
  }
}

function refuseByRate(exchange: Exchange, appId: string, app: RouteApp): Afterwards | undefined {
  if (!app.rateLimits) return undefined;
  const { rateLimits } = exchange.door;
  const { app: ofApp, client: ofClient } = app.rateLimits;
  const client = rateKeyOf(exchange.client.address);
  // The client's first: what it is refused must not use up what others may.
  let waitMs = ofClient === undefined ? 0 : rateLimits.take(`${appId} ${client}`, ofClient);
  if (waitMs === 0 && ofApp !== undefined) waitMs = rateLimits.take(appId, ofApp);
  if (waitMs === 0) return undefined;
  exchange.addedHeaders.push({ name: "Retry-After", value: String(Math.ceil(waitMs / 1_000)) });
  return answerError(exchange, "rate limit");
}

/** In another table too; without the strings that the connections' key is made of. */
function isSame(one: RouteDyno, other: RouteDyno): boolean {
  return one.id === other.id && one.address === other.address && one.port === other.port;
}

/** The request counts as one of the dyno's. */
interface ReachedDyno {
  dyno: RouteDyno;
  key: string;
  wire: Wire;
}

/**
 * A connection to a random dyno of the app; waits while one is starting (contract §3.1), and has one
 * started when the app is asleep.
 */
function reachDyno(
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
