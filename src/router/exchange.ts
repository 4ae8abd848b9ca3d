import type { Activity } from "./activity.ts";
import type { Quarantine } from "./balancer.ts";
import type { CustomPages } from "./custom-pages.ts";
import { errorPage, type CustomPage, type OwnPage } from "./error-page.ts";
import { forwardedForOf, requestIdOf } from "./forward-headers.ts";
import { type HeaderLine, type HeaderLines, linesOf } from "./header-lines.ts";
import type { RefusedHead, RequestHead, ResponseHead } from "./http-head.ts";
import type { BodySource } from "./http-body.ts";
import type { IdleConnections } from "./idle-connections.ts";
import type { InFlight } from "./in-flight.ts";
import type { RouterLimits } from "./limits.ts";
import type { LogFile } from "./log-file.ts";
import type { RateLimits } from "./rate-limits.ts";
import { requestLogLine, timestamp } from "./request-log.ts";
import { Http1Writer, type ResponseWriter } from "./response-writer.ts";
import { findUpstream } from "./route-table.ts";
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
  tlsVersion?: string | undefined;
  /** It came by TLS and said for no host: it may be one that wants no HTTP (rendezvous.ts). */
  namesNoServer?: boolean;
  /** A request or a tunnel is under way. */
  isAsking?: boolean;
  /** Told once, when the router stops. */
  onStopping?: () => void;
  /** Ends the connection with the last word of its protocol; it is closed without, otherwise. */
  leave?: () => void;
  /** Whether the connection's certificate is not the one of this host. */
  isMisdirected?: ((host: string) => boolean) | undefined;
}

/** What becomes of the client's connection when a request has ended. */
export type Afterwards = "keep" | "close" | "gone";

/** One request and what is known of how it went. */
export interface Exchange {
  readonly client: Client;
  readonly head: RequestHead;
  readonly door: Door;
  readonly upload: BodySource;
  readonly writer: ResponseWriter;
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
export function startExchange(
  parts: Pick<Exchange, "client" | "head" | "door" | "upload" | "writer">,
): Exchange {
  const { client, head, door, upload, writer } = parts;
  return {
    client,
    head,
    door,
    upload,
    writer,
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
  421: "Misdirected Request",
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
  { head, door, writer, upload, addedHeaders }: Exchange,
  options: { status: number; type: string; text: string },
): Afterwards {
  writer.sendHead(ownHead({ ...options, withBody: head.method !== "HEAD" }), {
    added: addedHeaders,
    mayKeep: head.keepAlive && upload.done && !door.stopping && options.status !== 400,
  });
  if (head.method !== "HEAD")
    writer.sendBody([Buffer.from(options.text)], { last: true, trailers: [] });
  return writer.keepsConnection ? "keep" : "close";
}

function ownHead(options: {
  status: number;
  type: string;
  text: string;
  withBody: boolean;
}): ResponseHead {
  const bytes = Buffer.byteLength(options.text);
  return {
    status: options.status,
    reason: reasons[options.status] ?? "Error",
    version: "1.1",
    headers: linesOf([
      { name: "Content-Type", value: options.type },
      { name: "Cache-Control", value: "no-cache, no-store" },
      { name: "Content-Length", value: String(bytes) },
    ]) as HeaderLines,
    body: options.withBody ? { kind: "length", bytes } : { kind: "none" },
  };
}

/** 400 to a request that was not understood, on a connection that goes on. */
export function answerBadRequest(writer: ResponseWriter): void {
  const text = errorPage("no-page");
  const type = "text/html; charset=utf-8";
  writer.sendHead(ownHead({ status: 400, type, text, withBody: true }), {
    ...{ added: [], mayKeep: false },
  });
  writer.sendBody([Buffer.from(text)], { last: true, trailers: [] });
}

/** A page to a client of which not even a head was understood; the connection ends with it. */
export function sendLastPage(wire: Wire, status: number, page: OwnPage): void {
  const text = errorPage(page);
  const writer = new Http1Writer(wire, "1.1");
  writer.sendHead(ownHead({ status, type: "text/html; charset=utf-8", text, withBody: true }), {
    ...{ added: [], mayKeep: false },
  });
  writer.sendBody([Buffer.from(text)], { last: true, trailers: [] });
}

/** A bug must cost one request or connection, never the router. */
export function reportBug(error: unknown): void {
  process.stderr.write(`router: ${error instanceof Error ? error.stack : String(error)}\n`);
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

/** Writes the log line of a request that was refused for its head, to the app that it names. */
export function logRefused(head: RefusedHead, { client, door }: Pick<Exchange, "client" | "door">) {
  const upstream = findUpstream(door.routes.current, head.host);
  if (upstream === undefined || "socket" in upstream) return;
  const failure = "H26-header";
  door.log?.write({
    app: upstream.app,
    at: timestamp(),
    line: requestLogLine({
      ...{ failure, status: routerError(failure).status, bytes: 0 },
      ...{ method: head.method, path: head.target, host: head.host, version: head.version },
      requestId: requestIdOf(head.headers),
      forwardedFor: forwardedForOf(head.headers, client.address),
      tlsVersion: client.tlsVersion,
    }),
  });
}
