import {
  listOf,
  valuesOf,
  type Header,
  type HeaderLine,
  type RequestHead,
  type ResponseHead,
} from "./http-head.ts";
import type { RouteApp } from "./route-table.ts";

const via = "1.1 stator-router";

/** Said about one connection, so never handed on (contract §3.4); what we need of it is written anew. */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "content-length",
]);

/** The router's own word; also in the spelling `x_forwarded_for`, which CGI-like servers mix up. */
const ours = new Set([
  "host",
  "expect",
  "upgrade",
  "via",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-request-start",
  "x-request-id",
]);

/** What of a request is not handed on as it came. */
const notHandedOn = new Set([...hopByHop, ...ours]);

const acceptableRequestId = /^[A-Za-z0-9+/=-]{20,200}$/;

/** The id that a client gave its request, if it will do, or a new one (contract §3.4). */
export function requestIdOf(headers: readonly Header[]): string {
  const [only, ...others] = valuesOf(headers, "x-request-id");
  return only !== undefined && others.length === 0 && acceptableRequestId.test(only)
    ? only
    : crypto.randomUUID();
}

/** The way of a request so far: what the client says, then the address we saw, the only true one. */
export function forwardedForOf(headers: readonly Header[], clientAddress: string): string {
  return [...valuesOf(headers, "x-forwarded-for"), clientAddress].join(", ");
}

export interface RequestFacts {
  requestId: string;
  forwardedFor: string;
  receivedAtMs: number;
  https: boolean;
}

/** The headers that a dyno gets; `keepAlive` is for the connection to the dyno. */
export function headersToDyno(
  head: RequestHead,
  facts: RequestFacts & { keepAlive: boolean },
): HeaderLine[] {
  const named = listOf(head.headers, "connection");
  const lines: HeaderLine[] = [
    { name: "Host", value: valuesOf(head.headers, "host")[0] ?? head.host },
  ];
  for (const header of head.headers) {
    const plain = header.key.includes("_") ? header.key.replaceAll("_", "-") : header.key;
    if (!notHandedOn.has(plain) && !named.has(header.key)) lines.push(header);
  }
  lines.push(...framingOf(head));
  if (head.upgrade) {
    lines.push({ name: "Connection", value: "Upgrade" });
    for (const value of valuesOf(head.headers, "upgrade")) lines.push({ name: "Upgrade", value });
  } else lines.push(...connectionLine({ keepAlive: facts.keepAlive, version: "1.1" }));
  lines.push(
    viaLine(head),
    { name: "X-Forwarded-For", value: facts.forwardedFor },
    { name: "X-Forwarded-Proto", value: facts.https ? "https" : "http" },
    { name: "X-Forwarded-Port", value: facts.https ? "443" : "80" },
    { name: "X-Request-Start", value: String(Math.floor(facts.receivedAtMs)) },
    { name: "X-Request-Id", value: facts.requestId },
  );
  return lines;
}

const ourVia: HeaderLine = { name: "Via", value: via };

function viaLine({ headers }: RequestHead | ResponseHead): HeaderLine {
  const before = valuesOf(headers, "via");
  return before.length === 0 ? ourVia : { name: "Via", value: [...before, via].join(", ") };
}

/** The headers that a client gets, but for what is said about its connection. */
export function headersToClient(
  head: ResponseHead,
  options: {
    /** Whether the body goes on in chunks. */
    chunked: boolean;
    /** The router's own, which yield to the app's except for cookies. */
    added: readonly HeaderLine[];
  },
): HeaderLine[] {
  const named = listOf(head.headers, "connection");
  const lines: HeaderLine[] = [];
  let isDated = false;
  for (const header of head.headers) {
    if (header.key === "date") isDated = true;
    if (!hopByHop.has(header.key) && !named.has(header.key) && header.key !== "via")
      lines.push(header);
  }
  if (!isDated) lines.push({ name: "Date", value: new Date().toUTCString() });
  lines.push(...withoutThoseOf(head, options.added), ...framingOf(head));
  if (options.chunked && head.body.kind === "until-close")
    lines.push({ name: "Transfer-Encoding", value: "chunked" });
  lines.push(viaLine(head));
  return lines;
}

/** Strict-Transport-Security (RFC 6797). */
export function hstsHeader(hsts: NonNullable<RouteApp["hsts"]>): HeaderLine {
  const value =
    `max-age=${hsts.maxAgeSeconds}` +
    (hsts.includeSubDomains === true ? "; includeSubDomains" : "") +
    (hsts.preload === true ? "; preload" : "");
  return { name: "Strict-Transport-Security", value };
}

function withoutThoseOf(head: ResponseHead, added: readonly HeaderLine[]): readonly HeaderLine[] {
  if (added.length === 0) return added;
  return added.filter(
    ({ name }) =>
      name === "Set-Cookie" || !head.headers.some(({ key }) => key === name.toLowerCase()),
  );
}

/** How long a dyno keeps its connection after this response, as far as it says; 0 is not at all. */
export function keptByDynoMs(head: ResponseHead): number {
  const connection = listOf(head.headers, "connection");
  if (head.version !== "1.1" || connection.has("close") || head.body.kind === "until-close")
    return 0;
  // Whoever says both framings may mean the other one.
  if (head.body.kind === "chunked" && valuesOf(head.headers, "content-length").length > 0) return 0;
  const [, seconds] =
    /(?:^|[,\s])timeout=(\d{1,6})/i.exec(valuesOf(head.headers, "keep-alive").join(",")) ?? [];
  return seconds === undefined ? Infinity : Math.max(0, Number(seconds) - 1) * 1_000;
}

/** What is said about the connection, where it differs from its version's habit. */
export function connectionLine(connection: {
  keepAlive: boolean;
  version: RequestHead["version"];
}): HeaderLine[] {
  if (!connection.keepAlive) return [{ name: "Connection", value: "close" }];
  return connection.version === "1.0" ? [{ name: "Connection", value: "keep-alive" }] : [];
}

/** The headers of a response that makes the connection a tunnel. */
export function headersOfSwitch(head: ResponseHead, added: readonly HeaderLine[]): HeaderLine[] {
  return [
    ...withoutThoseOf(head, added),
    ...head.headers.filter(({ key }) => !hopByHop.has(key) && key !== "via"),
    { name: "Connection", value: "Upgrade" },
    viaLine(head),
  ];
}

/** The headers of a response before the response: hints (103) and the like. */
export function headersOfInterim(head: ResponseHead): HeaderLine[] {
  const named = listOf(head.headers, "connection");
  return head.headers.filter(({ key }) => !hopByHop.has(key) && !named.has(key));
}

/** Never taken from a trailer: what routes, frames, lets in or changes how the body is read. */
const notInTrailers = new Set([
  ...["authorization", "cookie", "set-cookie", "www-authenticate", "location", "date", "age"],
  ...["content-encoding", "content-type", "content-range", "cache-control", "expires", "vary"],
  ...["range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"],
]);

/** The trailers of a chunked body that may go on (RFC 9110 §6.5.1). */
export function passedTrailers(trailers: readonly Header[]): readonly Header[] {
  if (trailers.length === 0) return trailers;
  return trailers.filter(({ key }) => {
    const plain = key.replaceAll("_", "-");
    return !notHandedOn.has(plain) && !notInTrailers.has(plain);
  });
}

function framingOf(head: RequestHead | ResponseHead): HeaderLine[] {
  switch (head.body.kind) {
    case "chunked":
      return [{ name: "Transfer-Encoding", value: "chunked" }];
    case "length":
      return [{ name: "Content-Length", value: String(head.body.bytes) }];
    case "until-close":
      return [];
    case "none":
      return "status" in head ? framingWithoutBody(head) : [];
  }
}

/** A response to HEAD, or a 304, tells the length that the body would have. */
function framingWithoutBody(head: ResponseHead): HeaderLine[] {
  if (head.status < 200 || head.status === 204) return [];
  if (head.headers.some(({ key }) => key === "transfer-encoding"))
    return [{ name: "Transfer-Encoding", value: "chunked" }];
  const [length] = valuesOf(head.headers, "content-length");
  return length === undefined
    ? []
    : [{ name: "Content-Length", value: length.split(",")[0]!.trim() }];
}
