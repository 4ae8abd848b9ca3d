/**
 * Request and response heads, read strictly (RFC 9112, contract §3.5). Two parties that disagree
 * about where a message ends are how requests get smuggled, so whatever can be read in two ways is
 * refused, and what goes on is written anew from what was understood.
 */
export interface Header {
  name: string;
  /** The name in lower case. */
  key: string;
  value: string;
}

/** A header to be written. */
export type HeaderLine = Pick<Header, "name" | "value">;

export type BodyFraming =
  | { kind: "none" }
  | { kind: "length"; bytes: number }
  | { kind: "chunked" }
  | { kind: "until-close" };

export type HttpVersion = "1.0" | "1.1" | "2.0";

export interface RequestHead {
  method: string;
  /** Origin form (`/path?query`), or `*`. */
  target: string;
  version: HttpVersion;
  headers: Header[];
  /** Lower case, without the port. */
  host: string;
  body: BodyFraming;
  keepAlive: boolean;
  /** The client asks to leave HTTP: a response 101 makes the connection a tunnel. */
  upgrade: boolean;
  expect: "nothing" | "100-continue" | "something else";
}

export interface ResponseHead {
  status: number;
  reason: string;
  version: HttpVersion;
  headers: Header[];
  body: BodyFraming;
}

export type BadResponse = "H17" | "H25-length" | "H25-cookie" | "H25-header" | "H25-status";

export type Parsed<Head, Bad> =
  | { kind: "incomplete" }
  | { kind: "bad"; reason: Bad }
  | { kind: "head"; head: Head; byteLength: number };

const maxRequestLineBytes = 8_192;
const maxRequestHeadBytes = 512 * 1_024;
const maxResponseLineBytes = 512 * 1_024;
const maxResponseHeadBytes = 1_024 * 1_024;
const maxHeaders = 1_000;
const maxNameLength = 1_000;
const maxMethodLength = 127;

const endOfHead = Buffer.from("\r\n\r\n");
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const requestLine =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,127}) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/;
const hostValue = /^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?$/;
const absoluteTarget = /^https?:\/\/([^/?#]*)([/?].*)?$/i;
const decimal = /^\d{1,15}$/;

/** Whether a text can be a header's name, or a method. */
export function isToken(text: string): boolean {
  return token.test(text);
}

/** Whether a text can be a header's value. */
export function isFieldValue(text: string): boolean {
  return fieldValue.test(text);
}

/** Whether no blank or tab is at its ends. */
export function isTrimmed(text: string): boolean {
  return trimBlanks(text).length === text.length;
}

/** Whether a request that did not come as HTTP/1.1 would be within its limits (contract §3.5). */
export function isWithinRequestLimits({ method, target, headers }: RequestHead): boolean {
  return (
    method.length <= maxMethodLength &&
    `${method} ${target} HTTP/1.1`.length <= maxRequestLineBytes &&
    headers.length <= maxHeaders &&
    headers.every(
      ({ name, value }) =>
        name.length <= maxNameLength && `${name}: ${value}`.length <= maxRequestLineBytes,
    )
  );
}

/** Reads the request head at the start of the bytes; `bad` is for a 400 and a closed connection. */
export function parseRequestHead(bytes: Buffer): Parsed<RequestHead, string> {
  // One empty line before a request is forgiven (RFC 9112 §2.2).
  const start = bytes[0] === 13 && bytes[1] === 10 ? 2 : 0;
  const end = bytes.indexOf(endOfHead, start);
  if (end === -1 || end - start > maxRequestHeadBytes) {
    const reason = whyNeverComplete(bytes.subarray(start), maxRequestLineBytes);
    if (reason !== undefined) return { kind: "bad", reason };
    if (bytes.length > maxRequestHeadBytes) return { kind: "bad", reason: "head too long" };
    return { kind: "incomplete" };
  }
  const head = readRequest(bytes.toString("latin1", start, end));
  return typeof head === "string"
    ? { kind: "bad", reason: head }
    : { kind: "head", head, byteLength: end + 4 };
}

/** What can be told of a head that was refused. */
export type RefusedHead = Pick<RequestHead, "method" | "target" | "version" | "headers" | "host">;

const maxRefusedBytes = 16 * 1_024;

/**
 * Whose request a head that was refused would have been: for the log only. Nothing when its request
 * line is none, or when there is not one Host in its first 16 KB.
 */
export function readRefusedHead(bytes: Buffer): RefusedHead | undefined {
  const text = bytes.toString("latin1", 0, maxRefusedBytes).replace(/^\r\n/, "");
  const [whole = ""] = text.split("\r\n\r\n", 1);
  const [first = "", ...lines] = whole.split("\r\n");
  const [, method, target, minor] = requestLine.exec(first) ?? [];
  const headers = lines.flatMap((line) => {
    const one = readHeaders(line, 0, maxRequestLineBytes);
    return typeof one === "string" ? [] : one;
  });
  const [name, ...others] = valuesOf(headers, "host");
  const host = name === undefined || others.length > 0 ? undefined : readHost(name);
  if (method === undefined || target === undefined || host === undefined) return undefined;
  return { method, target, version: minor === "1" ? "1.1" : "1.0", headers, host };
}

/** What is wrong with bytes that hold no whole head yet and never can. */
function whyNeverComplete(bytes: Buffer, maxLineBytes: number): string | undefined {
  let lineStart = 0;
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at - 1] !== 13) return "line feed without carriage return";
    if (at - lineStart > maxLineBytes) return "line too long";
    lineStart = at + 1;
  }
  return bytes.length - lineStart > maxLineBytes + 2 ? "line too long" : undefined;
}

function readRequest(text: string): RequestHead | string {
  const first = text.slice(0, endOfLine(text, 0));
  if (first.length > maxRequestLineBytes) return "request line too long";
  const [, method, rawTarget, minor] = requestLine.exec(first) ?? [];
  if (method === undefined || rawTarget === undefined) return "bad request line";
  if (method.toUpperCase() === "CONNECT") return "CONNECT is not served";
  const version: HttpVersion = minor === "1" ? "1.1" : "1.0";

  const headers = readHeaders(text, first.length + 2, maxRequestLineBytes);
  if (typeof headers === "string") return headers;

  const hosts = valuesOf(headers, "host");
  const host = hosts.length === 1 ? readHost(hosts[0]!) : undefined;
  if (host === undefined) return "one Host header is needed";
  const target = readTarget(rawTarget, { method, host });
  if (target === undefined) return "bad request target";

  const codings = valuesOf(headers, "transfer-encoding");
  if (codings.length > 0 && version === "1.0") return "transfer encoding in HTTP/1.0";
  if (codings.length > 1 || codings.some((value) => value.toLowerCase() !== "chunked"))
    return "transfer encoding is not chunked";
  const length = readLength(headers);
  if (length === "bad") return "bad content length";

  const connection = listOf(headers, "connection");
  const chunked = codings.length === 1;
  return {
    method,
    target,
    version,
    headers,
    host,
    // Chunked wins over a length; such a connection is closed afterwards (RFC 9112 §6.1).
    body: chunked
      ? { kind: "chunked" }
      : length === undefined
        ? { kind: "none" }
        : { kind: "length", bytes: length },
    keepAlive:
      !(chunked && length !== undefined) &&
      !connection.has("close") &&
      (version === "1.1" || connection.has("keep-alive")),
    upgrade:
      version === "1.1" &&
      connection.has("upgrade") &&
      headers.some(({ key, value }) => key === "upgrade" && value !== ""),
    expect: readExpect(headers),
  };
}

/** What the client wants to hear before it sends its body. */
export function readExpect(headers: readonly Header[]): RequestHead["expect"] {
  const expect = headers.filter(({ key }) => key === "expect");
  if (expect.length === 0) return "nothing";
  return expect.every(({ value }) => value.toLowerCase() === "100-continue")
    ? "100-continue"
    : "something else";
}

/** The header lines of a head, from the first one's place on. */
function readHeaders(text: string, from: number, maxLineBytes: number): Header[] | string {
  const headers: Header[] = [];
  for (let at = from, end = 0; at < text.length; at = end + 2) {
    end = endOfLine(text, at);
    if (headers.length === maxHeaders) return "too many headers";
    if (end - at > maxLineBytes) return "header line too long";
    const colon = text.indexOf(":", at);
    // Folded lines, blanks before the colon and lines without one all end here.
    const name = colon === -1 || colon > end ? "" : text.slice(at, colon);
    const key = keyOf(name);
    if (key === undefined) return "bad header name";
    const value = trimBlanks(text, colon + 1, end);
    if (!fieldValue.test(value)) return "bad header value";
    headers.push({ name, key, value });
  }
  return headers;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf("\r\n", from);
  return end === -1 ? text.length : end;
}

/** A name in lower case; nothing when it can't be one. */
const keyOf = remembered((name) =>
  name.length <= maxNameLength && token.test(name) ? name.toLowerCase() : undefined,
);

const maxRemembered = 1_000;
const maxRememberedLength = 100;

/** Remembers what it found for short texts: hosts and names are few, and come with every request. */
function remembered(find: (text: string) => string | undefined) {
  const known = new Map<string, string>();
  return (text: string): string | undefined => {
    const before = known.get(text);
    if (before !== undefined || text.length > maxRememberedLength) return before ?? find(text);
    // A copy: a part of a string keeps the whole of it, here a head, in memory.
    const own = Buffer.from(text, "latin1").toString("latin1");
    const found = find(own);
    if (found === undefined) return undefined;
    // Who sends ever new ones takes the gain from all for a moment, and no more than this memory.
    if (known.size === maxRemembered) known.clear();
    known.set(own, found);
    return found;
  };
}

/** Blanks and tabs only: `trim` would also take the no-break space, a byte like any other here. */
function trimBlanks(text: string, from = 0, to = text.length): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

const noValues: readonly string[] = [];

/** All values of a header, in their order. */
export function valuesOf(headers: readonly Header[], key: string): readonly string[] {
  let values: string[] | undefined;
  for (const header of headers) if (header.key === key) (values ??= []).push(header.value);
  return values ?? noValues;
}

/** The name in a Host header: lower case, without port and without the dot of the root. */
export const readHost = remembered((value) => {
  const [, name] = hostValue.exec(value) ?? [];
  return name?.toLowerCase().replace(/\.$/, "");
});

function readTarget(target: string, request: { method: string; host: string }): string | undefined {
  if (target.startsWith("/")) return target.includes("#") ? undefined : target;
  if (target === "*") return request.method === "OPTIONS" ? target : undefined;
  const [, authority = "", path = "/"] = absoluteTarget.exec(target) ?? [];
  if (authority === "" || path.includes("#") || readHost(authority) !== request.host)
    return undefined;
  return path.startsWith("/") ? path : `/${path}`;
}

/** The one length that all Content-Length headers agree on. */
export function readLength(headers: readonly Header[]): number | undefined | "bad" {
  const given = valuesOf(headers, "content-length");
  if (given.length === 0) return undefined;
  const values = given.flatMap((value) => value.split(",").map((one) => trimBlanks(one)));
  const [first = ""] = values;
  return decimal.test(first) && values.every((value) => value === first) ? Number(first) : "bad";
}

const noWords: ReadonlySet<string> = new Set();

/** The words of a header that is a list, in lower case. */
export function listOf(headers: readonly Header[], key: string): ReadonlySet<string> {
  let words: Set<string> | undefined;
  for (const value of valuesOf(headers, key))
    for (const word of value.split(",")) (words ??= new Set()).add(trimBlanks(word).toLowerCase());
  return words ?? noWords;
}

/** Reads the response head at the start of the bytes; what came before it decides the framing. */
export function parseResponseHead(
  bytes: Buffer,
  request: { method: string },
): Parsed<ResponseHead, BadResponse> {
  const end = bytes.indexOf(endOfHead);
  const lineEnd = bytes.indexOf("\r\n", 0, "latin1");
  if ((lineEnd === -1 ? bytes.length : lineEnd) > maxRequestLineBytes)
    return { kind: "bad", reason: "H25-status" };
  if (end === -1 || end > maxResponseHeadBytes) {
    const reason = whyNeverComplete(bytes, maxResponseLineBytes);
    if (reason === "line too long" || bytes.length > maxResponseHeadBytes)
      return { kind: "bad", reason: "H25-header" };
    return reason === undefined ? { kind: "incomplete" } : { kind: "bad", reason: "H17" };
  }
  const head = readResponse(bytes.toString("latin1", 0, end), request);
  return typeof head === "string"
    ? { kind: "bad", reason: head }
    : { kind: "head", head, byteLength: end + 4 };
}

function readResponse(text: string, request: { method: string }): ResponseHead | BadResponse {
  const first = text.slice(0, endOfLine(text, 0));
  const [, minor, code, reason = ""] = statusLine.exec(first) ?? [];
  if (code === undefined) return "H17";
  const headers = readHeaders(text, first.length + 2, maxResponseLineBytes);
  if (headers === "header line too long") return "H25-header";
  if (typeof headers === "string") return "H17";
  if (headers.some(({ key, value }) => key === "set-cookie" && value.length + 12 > 8_192))
    return "H25-cookie";

  const status = Number(code);
  const codings = valuesOf(headers, "transfer-encoding");
  if (codings.length > 1 || codings.some((value) => value.toLowerCase() !== "chunked"))
    return "H17";
  const length = readLength(headers);
  if (length === "bad") return "H25-length";
  const bodiless = request.method === "HEAD" || status < 200 || status === 204 || status === 304;
  return {
    status,
    reason,
    version: minor === "1" ? "1.1" : "1.0",
    headers,
    body: bodiless
      ? { kind: "none" }
      : codings.length === 1
        ? { kind: "chunked" }
        : length === undefined
          ? { kind: "until-close" }
          : { kind: "length", bytes: length },
  };
}

/** The bytes of a head. */
export function writeHead(first: string, headers: readonly HeaderLine[]) {
  return Buffer.from(`${first}\r\n${writeHeaders(headers)}\r\n`, "latin1");
}

/** Header lines, each with its end. */
export function writeHeaders(headers: readonly HeaderLine[]): string {
  let text = "";
  for (const { name, value } of headers) text += `${name}: ${value}\r\n`;
  return text;
}
