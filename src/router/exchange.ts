import type { Activity } from "./activity.ts";
import type { Quarantine } from "./balancer.ts";
import type { CustomPages } from "./custom-pages.ts";
import { errorPage, type CustomPage, type OwnPage } from "./error-page.ts";
import { connectionLine, forwardedForOf, requestIdOf } from "./forward-headers.ts";
import { writeHead, type HeaderLine, type RequestHead } from "./http-head.ts";
import type { IdleConnections } from "./idle-connections.ts";
import type { InFlight } from "./in-flight.ts";
import type { RouterLimits } from "./limits.ts";
import type { LogFile } from "./log-file.ts";
import type { RateLimits } from "./rate-limits.ts";
import { requestLogLine, timestamp } from "./request-log.ts";
import type { RouteStore } from "./route-store.ts";
import { routerError, type RouterErrorCode } from "./router-error.ts";
import type { Wakes } from "./wakes.ts";
import type { Wire } from "./wire.ts";

/** What all requests share. */
export interface Door {
  limits: RouterLimits;
  routes: RouteStore;
  quarantine: Quarantine;
  idle: IdleConnections;
  /** Requests under way, by dyno; tunnels are not among them. */
  dynos: InFlight;
  /** The same by app. */
  apps: InFlight;
  customPages: CustomPages;
  rateLimits: RateLimits;
  httpsPort: number | null;
  activity: Activity;
  wakes: Wakes;
  /** Nothing when requests are not logged. */
  log: LogFile | undefined;
  /** No more requests after the one under way; `forced` when that one is broken off too. */
  stopping: false | "finishing" | "forced";
}

export interface Client {
  wire: Wire;
  address: string;
  /** `tls1.3`; nothing for plain HTTP. */
  tlsVersion?: string;
  /** A request or a tunnel is under way. */
  isAsking?: boolean;
}

/** What becomes of the client's connection when a request has ended. */
export type Afterwards = "keep" | "close" | "gone";

/** One request and what is known of how it went. */
export interface Exchange {
  readonly client: Client;
  readonly head: RequestHead;
  readonly door: Door;
  readonly requestId: string;
  readonly forwardedFor: string;
  readonly receivedAtMs: number;
  dyno?: string;
  connectMs?: number;
  /** When the upstream was reached, in `performance.now()` milliseconds. */
  connectedAtMs?: number;
  status: number;
  /** Of the response's body, as far as they went to the client. */
  bytes?: number;
  failure?: RouterErrorCode;
  /** What the router adds to the response, whoever makes it. */
  readonly addedHeaders: HeaderLine[];
}

/** The start of a request: its id, its way here, its time. */
export function startExchange(client: Client, head: RequestHead, door: Door): Exchange {
  return {
    client,
    head,
    door,
    requestId: requestIdOf(head.headers),
    forwardedFor: forwardedForOf(head.headers, client.address),
    receivedAtMs: Date.now(),
    status: 0,
    addedHeaders: [],
  };
}

/** Ends a request with a row of the table, and its page unless nobody is there to read it. */
export function answerError(
  exchange: Exchange,
  code: RouterErrorCode,
  customUrl?: string,
): Afterwards {
  const row = routerError(code);
  exchange.failure = code;
  exchange.status = row.status;
  if (row.status === 499 || exchange.client.wire.closed) return "gone";
  return answerPage(exchange, { status: row.status, page: row.page, customUrl });
}

const reasons: Record<number, string> = {
  200: "OK",
  301: "Moved Permanently",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  417: "Expectation Failed",
  429: "Too Many Requests",
  502: "Bad Gateway",
  503: "Service Unavailable",
};

/** Sends a page of our own. */
export function answerPage(
  exchange: Exchange,
  options: { status: number; page: OwnPage; customUrl?: string | undefined },
): Afterwards {
  return answerText(exchange, {
    status: options.status,
    type: "text/html; charset=utf-8",
    text: errorPage(options.page, customPage(exchange, options.customUrl)),
  });
}

function customPage({ door }: Exchange, url: string | undefined): CustomPage | undefined {
  return url === undefined ? undefined : { url, copy: door.customPages.copyOf(url) };
}

/** Sends a response of our own. A request with a body is not read to its end for it. */
export function answerText(
  exchange: Exchange,
  options: { status: number; type: string; text: string },
): Afterwards {
  const { client, head, door } = exchange;
  const unreadBody =
    head.body.kind === "chunked" || (head.body.kind === "length" && head.body.bytes > 0);
  const keepAlive = head.keepAlive && !unreadBody && !door.stopping && options.status !== 400;
  sendText(client.wire, {
    ...options,
    withBody: head.method !== "HEAD",
    headers: [...exchange.addedHeaders, ...connectionLine({ keepAlive, version: head.version })],
  });
  return keepAlive ? "keep" : "close";
}

/** A page to a client of which not even a head was understood; the connection ends with it. */
export function sendLastPage(wire: Wire, status: number, page: OwnPage): void {
  sendText(wire, {
    ...{ status, type: "text/html; charset=utf-8", text: errorPage(page), withBody: true },
    headers: [{ name: "Connection", value: "close" }],
  });
}

function sendText(
  wire: Wire,
  options: {
    status: number;
    type: string;
    text: string;
    withBody: boolean;
    headers: HeaderLine[];
  },
): void {
  const body = Buffer.from(options.text);
  wire.write(
    writeHead(`HTTP/1.1 ${options.status} ${reasons[options.status] ?? "Error"}`, [
      { name: "Content-Type", value: options.type },
      { name: "Cache-Control", value: "no-cache, no-store" },
      { name: "Content-Length", value: String(body.length) },
      { name: "Date", value: new Date().toUTCString() },
      { name: "Via", value: "1.1 stator-router" },
      ...options.headers,
    ]),
  );
  if (options.withBody) wire.write(body);
}

/** Writes the log line of a request that has ended. */
export function logExchange(exchange: Exchange, appId: string): void {
  const { head, client, connectedAtMs } = exchange;
  exchange.door.log?.write({
    app: appId,
    at: timestamp(),
    line: requestLogLine({
      failure: exchange.failure,
      method: head.method,
      path: head.target,
      host: head.host,
      requestId: exchange.requestId,
      forwardedFor: exchange.forwardedFor,
      dyno: exchange.dyno,
      connectMs: exchange.connectMs,
      serviceMs: connectedAtMs === undefined ? undefined : performance.now() - connectedAtMs,
      status: exchange.status,
      bytes: exchange.bytes,
      version: head.version,
      tlsVersion: client.tlsVersion,
    }),
  });
}
