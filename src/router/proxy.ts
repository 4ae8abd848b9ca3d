import { decideAccess } from "./access.ts";
import type { Visit } from "./activity.ts";
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
import { reachDyno, type ReachedDyno } from "./reach-dyno.ts";
import { Relay, type RelayOwner } from "./relay.ts";
import { findUpstream, type RouteApp, type RouteDyno, type Routes } from "./route-table.ts";
import type { RouterErrorCode } from "./router-error.ts";
import { connectToPlatform } from "./sockets.ts";
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
    this.#visit.reachDyno();
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
