/**
 * Request and response heads, read strictly (RFC 9112, contract §3.5). Two parties that disagree
 * about where a message ends are how requests get smuggled, so whatever can be read in two ways is
 * refused, and what goes on is written anew from what was understood.
 */
import { ByteMemory } from "./byte-memory.ts";
import {
  endOfTarget,
  endOfToken,
  endOfValue,
  type Header,
  type HeaderLines,
  known,
  linesOf,
  readLines,
  trimBlanks,
} from "./header-lines.ts";

export type BodyFraming =
  | { kind: "none" }
  | { kind: "length"; bytes: number }
  | { kind: "chunked" }
  | { kind: "until-close" };

const [noBody, chunkedBody, bodyUntilClose]: BodyFraming[] = [
  { kind: "none" },
  { kind: "chunked" },
  { kind: "until-close" },
];

export type HttpVersion = "1.0" | "1.1" | "2.0";

export interface RequestHead {
  method: string;
  /** Origin form (`/path?query`), or `*`. */
  target: string;
  version: HttpVersion;
  headers: HeaderLines;
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
  headers: HeaderLines;
  body: BodyFraming;
}

export type BadResponse = "H17" | "H25-length" | "H25-cookie" | "H25-header" | "H25-status";

export type Parsed<Head, Bad> =
  | { kind: "incomplete" }
  | { kind: "bad"; reason: Bad }
  | { kind: "head"; head: Head; byteLength: number };

export const maxRequestLineBytes = 8_192;
const maxRequestHeadBytes = 512 * 1_024;
const maxResponseLineBytes = 512 * 1_024;
const maxResponseHeadBytes = 1_024 * 1_024;
export const maxMethodLength = 127;

const endOfHead = Buffer.from("\r\n\r\n");
const [space, zero, one] = [0x20, 0x30, 0x31];
const versionStart = Buffer.from("HTTP/1.");
const hostValue = /^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?$/;
const absoluteTarget = /^https?:\/\/([^/?#]*)([/?].*)?$/i;
const decimal = /^\d{1,15}$/;

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
  const head = readRequest(withoutOthers(bytes, end), start, end);
  return typeof head === "string"
    ? { kind: "bad", reason: head }
    : { kind: "head", head, byteLength: end + 4 };
}

const mostBesideHead = 4_096;

/** A head lives as long as its request: much else that came with it is not kept in memory for that. */
function withoutOthers(bytes: Buffer, end: number): Buffer {
  const length = end + endOfHead.length;
  // Not `bytes.buffer`: that makes a new object of what has none yet.
  const others = bytes.byteOffset + bytes.length - length;
  return others <= mostBesideHead ? bytes : Buffer.from(bytes.subarray(0, length));
}

/** What can be told of a head that was refused. */
export type RefusedHead = Pick<RequestHead, "method" | "target" | "version" | "headers" | "host">;

export const maxRefusedBytes = 16 * 1_024;

/**
 * Whose request a head that was refused would have been: for the log only. Nothing when its request
 * line is none, or when there is not one Host in its first 16 KB.
 */
export function readRefusedHead(bytes: Buffer): RefusedHead | undefined {
  const text = bytes.toString("latin1", 0, maxRefusedBytes).replace(/^\r\n/, "");
  const [whole = ""] = text.split("\r\n\r\n", 1);
  const [first = "", ...lines] = whole.split("\r\n");
  const line = Buffer.from(first, "latin1");
  const request = readRequestLine(line, 0, line.length);
  const headers = linesOf(lines.flatMap(readOneLine));
  if (typeof request === "string" || typeof headers === "string") return undefined;
  const host = readHost(headers);
  return host === undefined ? undefined : { ...request, headers, host };
}

/** A header line, or nothing when it is none. */
function readOneLine(text: string): Header[] {
  const bytes = Buffer.from(text, "latin1");
  const lines = readLines(bytes, 0, bytes.length, maxRequestLineBytes);
  return typeof lines === "string" ? [] : lines.list();
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

type RequestLine = Pick<RequestHead, "method" | "target" | "version">;

/** Reads a request line between two places; its end is the line's. */
function readRequestLine(bytes: Buffer, start: number, end: number): RequestLine | string {
  const methodEnd = endOfToken(bytes, start, end);
  const targetEnd = endOfTarget(bytes, methodEnd + 1, end);
  const isWhole =
    methodEnd > start &&
    methodEnd - start <= maxMethodLength &&
    bytes[methodEnd] === space &&
    targetEnd > methodEnd + 1 &&
    bytes[targetEnd] === space;
  const version = isWhole ? readVersion(bytes, targetEnd + 1) : undefined;
  if (version === undefined || end !== targetEnd + 1 + lengthOfVersion) return "bad request line";
  return {
    method: methods.find(bytes, start, methodEnd)!,
    target: bytes.toString("latin1", methodEnd + 1, targetEnd),
    version,
  };
}

/** Methods are few. */
const methods = new ByteMemory((text) => text);

const lengthOfVersion = "HTTP/1.1".length;

/** The version that is said at a place. */
function readVersion(bytes: Buffer, at: number): HttpVersion | undefined {
  for (let index = 0; index < versionStart.length; index++)
    if (bytes[at + index] !== versionStart[index]) return undefined;
  const minor = bytes[at + versionStart.length];
  return minor === one ? "1.1" : minor === zero ? "1.0" : undefined;
}

/** Where the line that begins at a place ends. */
function endOfLine(bytes: Buffer, from: number, end: number): number {
  const lineEnd = bytes.indexOf(13, from);
  // Whatever a carriage return alone may be, it is not within a line.
  return lineEnd === -1 || lineEnd > end ? end : lineEnd;
}

function readRequest(bytes: Buffer, start: number, end: number): RequestHead | string {
  const lineEnd = endOfLine(bytes, start, end);
  if (lineEnd - start > maxRequestLineBytes) return "request line too long";
  const line = readRequestLine(bytes, start, lineEnd);
  if (typeof line === "string") return line;
  const { method, version } = line;
  if (method.toUpperCase() === "CONNECT") return "CONNECT is not served";
  if (lineEnd < end && bytes[lineEnd + 1] !== 10) return "bad request line";

  const headers = readLines(bytes, lineEnd + 2, end, maxRequestLineBytes);
  if (typeof headers === "string") return headers;

  const host = readHost(headers);
  if (host === undefined) return "one Host header is needed";
  const target = readTarget(line.target, { method, host });
  if (target === undefined) return "bad request target";

  const coding = readCoding(headers);
  if (coding !== "none" && version === "1.0") return "transfer encoding in HTTP/1.0";
  if (coding === "bad") return "transfer encoding is not chunked";
  const length = readLength(headers);
  if (length === "bad") return "bad content length";

  const connection = headers.connectionWords;
  const chunked = coding === "chunked";
  return {
    method,
    target,
    version,
    headers,
    host,
    // Chunked wins over a length; such a connection is closed afterwards (RFC 9112 §6.1).
    body: chunked
      ? chunkedBody!
      : length === undefined
        ? noBody!
        : { kind: "length", bytes: length },
    keepAlive:
      !(chunked && length !== undefined) &&
      !connection.has("close") &&
      (version === "1.1" || connection.has("keep-alive")),
    upgrade:
      version === "1.1" &&
      connection.has("upgrade") &&
      headers.values(known.upgrade).some((value) => value !== ""),
    expect: readExpect(headers),
  };
}

/** What the client wants to hear before it sends its body. */
export function readExpect(headers: HeaderLines): RequestHead["expect"] {
  if (!headers.has(known.expect)) return "nothing";
  return headers.values(known.expect).every((value) => value.toLowerCase() === "100-continue")
    ? "100-continue"
    : "something else";
}

/** The coding of a body; `chunked`, alone and once, is the only one that can be read in one way. */
function readCoding(headers: HeaderLines): "none" | "chunked" | "bad" {
  if (!headers.has(known["transfer-encoding"])) return "none";
  const [coding, ...others] = headers.values(known["transfer-encoding"]);
  return coding?.toLowerCase() === "chunked" && others.length === 0 ? "chunked" : "bad";
}

/** The name in the one Host header: lower case, without port and without the dot of the root. */
function readHost(headers: HeaderLines): string | undefined {
  const only = headers.only(known.host);
  return only < 0 ? undefined : headers.recall(only, hosts);
}

/** The same of an authority. */
export function hostOf(authority: string): string | undefined {
  const [, name] = hostValue.exec(authority) ?? [];
  return name?.toLowerCase().replace(/\.$/, "");
}

const hosts = new ByteMemory(hostOf);

function readTarget(target: string, request: { method: string; host: string }): string | undefined {
  if (target.startsWith("/")) return target.includes("#") ? undefined : target;
  if (target === "*") return request.method === "OPTIONS" ? target : undefined;
  const [, authority = "", path = "/"] = absoluteTarget.exec(target) ?? [];
  if (authority === "" || path.includes("#") || hostOf(authority) !== request.host)
    return undefined;
  return path.startsWith("/") ? path : `/${path}`;
}

/** The one length that all Content-Length headers agree on. */
export function readLength(headers: HeaderLines): number | undefined | "bad" {
  const only = headers.only(known["content-length"]);
  if (only === -1) return undefined;
  const length = only < 0 ? -1 : headers.decimal(only);
  if (length >= 0) return length;
  const given = headers.values(known["content-length"]);
  const values = given.flatMap((value) => value.split(",").map((text) => trimBlanks(text)));
  const [first = ""] = values;
  return decimal.test(first) && values.every((value) => value === first) ? Number(first) : "bad";
}

/** Reads the response head at the start of the bytes; what came before it decides the framing. */
export function parseResponseHead(
  bytes: Buffer,
  request: { method: string },
): Parsed<ResponseHead, BadResponse> {
  const end = bytes.indexOf(endOfHead);
  const lineEnd = endOfLine(bytes, 0, bytes.length);
  if (lineEnd > maxRequestLineBytes) return { kind: "bad", reason: "H25-status" };
  if (end === -1 || end > maxResponseHeadBytes) {
    const reason = whyNeverComplete(bytes, maxResponseLineBytes);
    if (reason === "line too long" || bytes.length > maxResponseHeadBytes)
      return { kind: "bad", reason: "H25-header" };
    return reason === undefined ? { kind: "incomplete" } : { kind: "bad", reason: "H17" };
  }
  const head = readResponse(withoutOthers(bytes, end), lineEnd, end, request);
  return typeof head === "string"
    ? { kind: "bad", reason: head }
    : { kind: "head", head, byteLength: end + 4 };
}

const maxCookieBytes = 8_192 - "Set-Cookie: ".length;

function readResponse(
  bytes: Buffer,
  lineEnd: number,
  end: number,
  request: { method: string },
): ResponseHead | BadResponse {
  const line = readStatusLine(bytes, lineEnd);
  if (line === undefined) return "H17";
  const headers = readLines(bytes, lineEnd + 2, end, maxResponseLineBytes);
  if (headers === "header line too long") return "H25-header";
  if (typeof headers === "string") return "H17";
  if (headers.has(known["set-cookie"]))
    for (let index = 0; index < headers.count; index++)
      if (
        headers.kind(index) === known["set-cookie"] &&
        headers.valueLength(index) > maxCookieBytes
      )
        return "H25-cookie";

  const coding = readCoding(headers);
  if (coding === "bad") return "H17";
  const length = readLength(headers);
  if (length === "bad") return "H25-length";
  const { status } = line;
  const bodiless = request.method === "HEAD" || status < 200 || status === 204 || status === 304;
  return {
    ...line,
    headers,
    body: bodiless
      ? noBody!
      : coding === "chunked"
        ? chunkedBody!
        : length === undefined
          ? bodyUntilClose!
          : { kind: "length", bytes: length },
  };
}

/** `HTTP/1.1 200 OK`, in which the reason may be empty but its blank may not be missing. */
function readStatusLine(
  bytes: Buffer,
  end: number,
): Pick<ResponseHead, "status" | "reason" | "version"> | undefined {
  const version = readVersion(bytes, 0);
  const reasonStart = lengthOfVersion + " 200 ".length;
  if (version === undefined || bytes[lengthOfVersion] !== space || reasonStart > end)
    return undefined;
  if (bytes[end + 1] !== 10) return undefined;
  let status = 0;
  for (let at = lengthOfVersion + 1; at < reasonStart - 1; at++) {
    const digit = bytes[at]! - zero;
    if (digit < 0 || digit > 9) return undefined;
    status = 10 * status + digit;
  }
  if (status < 100 || bytes[reasonStart - 1] !== space) return undefined;
  if (endOfValue(bytes, reasonStart, end) !== end) return undefined;
  return { status, reason: reasons.find(bytes, reasonStart, end)!, version };
}

/** Reasons are few. */
const reasons = new ByteMemory((text) => text);
