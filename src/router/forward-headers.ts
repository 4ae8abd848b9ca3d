import {
  asHyphenated,
  FixedLine,
  type Header,
  type HeaderLine,
  type HeaderLines,
  type HeaderSink,
  known,
  type KnownName,
  setOfNames,
} from "./header-lines.ts";
import type { RequestHead, ResponseHead } from "./http-head.ts";
import type { RouteApp } from "./route-table.ts";

const via = "1.1 stator-router";

/** Said about one connection, so never handed on (contract §3.4); what we need of it is written anew. */
const hopByHop: readonly KnownName[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "content-length",
];

/** The router's own word; also in the spelling `x_forwarded_for`, which CGI-like servers mix up. */
const ours: readonly KnownName[] = [
  "host",
  "expect",
  "upgrade",
  "via",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-request-start",
  "x-request-id",
];

/** What of a request is not handed on as it came. */
const notToDyno = setOfNames([...hopByHop, ...ours]);
/** What of a response is not. */
const notToClient = setOfNames([...hopByHop, "via"]);
const notInInterim = setOfNames(hopByHop);
const notInTrailers: ReadonlySet<string> = new Set([
  ...[...hopByHop, ...ours],
  // What lets in, or changes how the body is read.
  ...["authorization", "cookie", "set-cookie", "www-authenticate", "location", "date", "age"],
  ...["content-encoding", "content-type", "content-range", "cache-control", "expires", "vary"],
  ...["range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"],
]);

const acceptableRequestId = /^[A-Za-z0-9+/=-]{20,200}$/;

/** The id that a client gave its request, if it will do, or a new one (contract §3.4). */
export function requestIdOf(headers: HeaderLines): string {
  const only = headers.only(known["x-request-id"]);
  if (only < 0) return crypto.randomUUID();
  const given = headers.value(only);
  return acceptableRequestId.test(given) ? given : crypto.randomUUID();
}

/** The way of a request so far: what the client says, then the address we saw, the only true one. */
export function forwardedForOf(headers: HeaderLines, clientAddress: string): string {
  if (!headers.has(known["x-forwarded-for"])) return clientAddress;
  return [...headers.values(known["x-forwarded-for"]), clientAddress].join(", ");
}

export interface RequestFacts {
  requestId: string;
  forwardedFor: string;
  receivedAtMs: number;
  https: boolean;
}

/** Writes the headers that a dyno gets; `keepAlive` is for the connection to the dyno. */
export function headersToDyno(
  out: HeaderSink,
  head: RequestHead,
  facts: RequestFacts & { keepAlive: boolean },
): void {
  const { headers } = head;
  const host = headers.only(known.host);
  if (host >= 0) out.line(headers, host);
  else out.add("Host", head.host);
  for (let index = 0; index < headers.count; index++)
    if (!notToDyno[asHyphenated(headers.kind(index))] && !headers.isOfConnection(index))
      out.line(headers, index);
  framingOf(out, head);
  if (head.upgrade) {
    out.add("Connection", "Upgrade");
    for (const value of headers.values(known.upgrade)) out.add("Upgrade", value);
  } else connectionLine(out, { keepAlive: facts.keepAlive, version: "1.1" });
  viaLine(out, headers);
  out.fixed(facts.https ? httpsProto : httpProto);
  out.fixed(facts.https ? httpsPort : httpPort);
  out.add("X-Forwarded-For", facts.forwardedFor);
  out.add("X-Request-Start", String(Math.floor(facts.receivedAtMs)));
  out.add("X-Request-Id", facts.requestId);
}

const [httpProto, httpsProto] = ["http", "https"].map(
  (it) => new FixedLine("X-Forwarded-Proto", it),
) as [FixedLine, FixedLine];
const [httpPort, httpsPort] = ["80", "443"].map((it) => new FixedLine("X-Forwarded-Port", it)) as [
  FixedLine,
  FixedLine,
];
const ourVia = new FixedLine("Via", via);

function viaLine(out: HeaderSink, headers: HeaderLines): void {
  if (headers.has(known.via)) out.add("Via", [...headers.values(known.via), via].join(", "));
  else out.fixed(ourVia);
}

/** Writes the headers that a client gets, but for what is said about its connection. */
export function headersToClient(
  out: HeaderSink,
  head: ResponseHead,
  options: {
    /** Whether the body goes on in chunks. */
    chunked: boolean;
    /** The router's own, which yield to the app's except for cookies. */
    added: readonly HeaderLine[];
  },
): void {
  const { headers } = head;
  for (let index = 0; index < headers.count; index++)
    if (!isIn(notToClient, headers.kind(index)) && !headers.isOfConnection(index))
      out.line(headers, index);
  viaLine(out, headers);
  if (!headers.has(known.date)) out.add("Date", httpDate());
  for (const { name, value } of withoutThoseOf(headers, options.added)) out.add(name, value);
  framingOf(out, head);
  if (options.chunked && head.body.kind === "until-close") out.add("Transfer-Encoding", "chunked");
}

/** Whether a line's name is in a set, in its own spelling. */
function isIn(set: readonly boolean[], kind: number): boolean {
  return kind < set.length && set[kind]!;
}

/** The second that was last written: there are many responses in one. */
let lastDate = { second: 0, text: "" };

function httpDate(): string {
  const second = Math.floor(Date.now() / 1_000);
  if (second !== lastDate.second)
    lastDate = { second, text: new Date(second * 1_000).toUTCString() };
  return lastDate.text;
}

/** Strict-Transport-Security (RFC 6797). */
export function hstsHeader(hsts: NonNullable<RouteApp["hsts"]>): HeaderLine {
  const value =
    `max-age=${hsts.maxAgeSeconds}` +
    (hsts.includeSubDomains === true ? "; includeSubDomains" : "") +
    (hsts.preload === true ? "; preload" : "");
  return { name: "Strict-Transport-Security", value };
}

function withoutThoseOf(headers: HeaderLines, added: readonly HeaderLine[]): readonly HeaderLine[] {
  if (added.length === 0) return added;
  const theirs = new Set(headers.list().map(({ key }) => key));
  return added.filter(({ name }) => name === "Set-Cookie" || !theirs.has(name.toLowerCase()));
}

/** How long a dyno keeps its connection after this response, as far as it says; 0 is not at all. */
export function keptByDynoMs({ version, body, headers }: ResponseHead): number {
  if (version !== "1.1" || headers.connectionWords.has("close") || body.kind === "until-close")
    return 0;
  // Whoever says both framings may mean the other one.
  if (body.kind === "chunked" && headers.has(known["content-length"])) return 0;
  if (!headers.has(known["keep-alive"])) return Infinity;
  const [, seconds] =
    /(?:^|[,\s])timeout=(\d{1,6})/i.exec(headers.values(known["keep-alive"]).join(",")) ?? [];
  return seconds === undefined ? Infinity : Math.max(0, Number(seconds) - 1) * 1_000;
}

/** Writes what is said about the connection, where it differs from its version's habit. */
export function connectionLine(
  out: HeaderSink,
  connection: { keepAlive: boolean; version: RequestHead["version"] },
): void {
  if (!connection.keepAlive) out.add("Connection", "close");
  else if (connection.version === "1.0") out.add("Connection", "keep-alive");
}

/** Writes the headers of a response that makes the connection a tunnel. */
export function headersOfSwitch(
  out: HeaderSink,
  { headers }: ResponseHead,
  added: readonly HeaderLine[],
): void {
  for (const { name, value } of withoutThoseOf(headers, added)) out.add(name, value);
  for (let index = 0; index < headers.count; index++)
    if (!isIn(notToClient, headers.kind(index))) out.line(headers, index);
  out.add("Connection", "Upgrade");
  viaLine(out, headers);
}

/** Writes the headers of a response before the response: hints (103) and the like. */
export function headersOfInterim(out: HeaderSink, { headers }: ResponseHead): void {
  for (let index = 0; index < headers.count; index++)
    if (!isIn(notInInterim, headers.kind(index)) && !headers.isOfConnection(index))
      out.line(headers, index);
}

/** The trailers of a chunked body that may go on (RFC 9110 §6.5.1). */
export function passedTrailers(trailers: readonly Header[]): readonly Header[] {
  if (trailers.length === 0) return trailers;
  return trailers.filter(({ key }) => !notInTrailers.has(key.replaceAll("_", "-")));
}

function framingOf(out: HeaderSink, head: RequestHead | ResponseHead): void {
  switch (head.body.kind) {
    case "chunked":
      return out.add("Transfer-Encoding", "chunked");
    case "length":
      return out.add("Content-Length", String(head.body.bytes));
    case "until-close":
      return;
    case "none":
      if ("status" in head) framingWithoutBody(out, head);
  }
}

/** A response to HEAD, or a 304, tells the length that the body would have. */
function framingWithoutBody(out: HeaderSink, { status, headers }: ResponseHead): void {
  if (status < 200 || status === 204) return;
  if (headers.has(known["transfer-encoding"])) return out.add("Transfer-Encoding", "chunked");
  const [length] = headers.values(known["content-length"]);
  if (length !== undefined) out.add("Content-Length", length.split(",")[0]!.trim());
}
