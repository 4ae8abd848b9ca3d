import type { Field } from "./hpack.ts";
import { type Header, type HeaderLines, linesOf, trimBlanks } from "./header-lines.ts";
import {
  hostOf,
  maxMethodLength,
  maxRefusedBytes,
  maxRequestLineBytes,
  readExpect,
  readLength,
  type RefusedHead,
  type RequestHead,
} from "./http-head.ts";

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

const target = /^(?:\/[\x21\x22\x24-\x7e\x80-\xff]*|\*)$/;

/** Said about a connection of HTTP/1; in HTTP/2 they can only be meant to confuse (RFC 9113 §8.2.2). */
const ofOneConnection = new Set([
  ...["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"],
]);

/**
 * The request of an HTTP/2 stream, as one of HTTP/1.1 would be. `malformed` is for a stream that is
 * reset (RFC 9113 §8.1.1), `bad` for what HTTP/1.1 would be answered 400. An extended CONNECT
 * (RFC 8441) becomes the upgrade that it stands for.
 */
export function readHttp2Request(
  fields: readonly Field[],
  options: { endsHere: boolean },
): RequestHead | "malformed" | "bad" {
  const split = splitFields(fields);
  if (split === undefined) return "malformed";
  const { method, scheme, path, authority, protocol, headers } = split;
  if (method === undefined || !token.test(method)) return "malformed";
  const isConnect = method.toUpperCase() === "CONNECT";
  if (isConnect && protocol === undefined) return "bad";
  if (scheme === undefined || path === undefined || !target.test(path)) return "malformed";
  if (path === "*" && method !== "OPTIONS") return "malformed";
  const isTunnel = protocol !== undefined;
  if (isTunnel && (method !== "CONNECT" || !token.test(protocol) || options.endsHere))
    return "malformed";

  const hosts = headers.filter(({ key }) => key === "host").map(({ value }) => value);
  const [name] = authority === undefined ? hosts : [authority];
  const host = name === undefined ? undefined : hostOf(name);
  if (name === undefined || host === undefined) return "bad";
  if (hosts.some((other) => hostOf(other) !== host)) return "bad";

  const passed = joinCookies(headers.filter(({ key }) => key !== "host"));
  const lines = linesOf(
    [{ name: "Host", value: name }, ...(isTunnel ? headersOfUpgrade(protocol, passed) : passed)],
    maxRequestLineBytes,
  );
  if (typeof lines === "string") return "bad";
  const length = readLength(lines);
  if (length === "bad" || (options.endsHere && (length ?? 0) > 0)) return "malformed";
  const head: RequestHead = {
    method: isTunnel ? "GET" : method,
    target: path,
    version: "2.0",
    headers: lines,
    host,
    body:
      options.endsHere || isTunnel
        ? { kind: "none" }
        : length === undefined
          ? { kind: "chunked" }
          : { kind: "length", bytes: length },
    keepAlive: true,
    upgrade: isTunnel,
    expect: readExpect(lines),
  };
  return isWithinLineLimits(head) ? head : "bad";
}

/**
 * Whose request fields that were refused would have been, as for HTTP/1 (`readRefusedHead`): for the
 * log only, and without the headers when these are what was wrong.
 */
export function readRefusedFields(fields: readonly Field[]): RefusedHead | undefined {
  const split = splitFields(fields);
  const { method, path: target, authority, headers = [] } = split ?? {};
  const [name, ...others] =
    authority === undefined
      ? headers.filter(({ key }) => key === "host").map(({ value }) => value)
      : [authority];
  const host = name === undefined || others.length > 0 ? undefined : hostOf(name);
  if (method === undefined || target === undefined || host === undefined) return undefined;
  if (method.length + target.length > maxRefusedBytes) return undefined;
  const lines = linesOf(headers, maxRequestLineBytes);
  const none = linesOf([]) as HeaderLines;
  return {
    method,
    target,
    version: "2.0",
    headers: typeof lines === "string" ? none : lines,
    host,
  };
}

/** Whether a request line of HTTP/1.1 could say it (contract §3.5). */
function isWithinLineLimits({ method, target: path }: RequestHead): boolean {
  return (
    method.length <= maxMethodLength && `${method} ${path} HTTP/1.1`.length <= maxRequestLineBytes
  );
}

interface SplitFields {
  method?: string;
  scheme?: string;
  authority?: string;
  path?: string;
  protocol?: string;
  headers: Header[];
}

const pseudoNames: ReadonlyMap<string, Exclude<keyof SplitFields, "headers">> = new Map([
  [":method", "method"],
  [":scheme", "scheme"],
  [":authority", "authority"],
  [":path", "path"],
  [":protocol", "protocol"],
]);

/** Nothing when a field may not be there: it would mean something else to a server of HTTP/1.1. */
function splitFields(fields: readonly Field[]): SplitFields | undefined {
  const split: SplitFields = { headers: [] };
  for (const [name, value] of fields) {
    if (!isSound(value)) return undefined;
    if (name.startsWith(":")) {
      const part = pseudoNames.get(name);
      if (part === undefined || split[part] !== undefined || split.headers.length > 0)
        return undefined;
      split[part] = value;
      continue;
    }
    if (!isLowerCaseToken(name) || ofOneConnection.has(name)) return undefined;
    if (name === "te" && value !== "trailers") return undefined;
    split.headers.push({ name, key: name, value });
  }
  return split;
}

const maxTrailerBytes = 16_384;

/** What follows a body; nothing when it may not be there. */
export function readHttp2Trailers(fields: readonly Field[]): Header[] | undefined {
  let bytes = 0;
  for (const [name, value] of fields) {
    bytes += name.length + value.length;
    if (!isLowerCaseToken(name) || !isSound(value) || bytes > maxTrailerBytes) return undefined;
  }
  return fields.map(([name, value]) => ({ name, key: name, value }));
}

function isSound(value: string): boolean {
  return fieldValue.test(value) && trimBlanks(value).length === value.length;
}

function isLowerCaseToken(name: string): boolean {
  return token.test(name) && !/[A-Z]/.test(name);
}

/** HTTP/2 may cut the Cookie header at its semicolons; apps know it in one piece (RFC 9113 §8.2.3). */
function joinCookies(headers: readonly Header[]): readonly Header[] {
  const cookies = headers.filter(({ key }) => key === "cookie");
  if (cookies.length < 2) return headers;
  const value = cookies.map((cookie) => cookie.value).join("; ");
  return [
    ...headers.filter(({ key }) => key !== "cookie"),
    { name: "cookie", key: "cookie", value },
  ];
}

/** What HTTP/1.1 needs for a WebSocket and HTTP/2 does not: the key is ours, its answer too. */
function headersOfUpgrade(protocol: string, passed: readonly Header[]): Header[] {
  const upgrade = { name: "Upgrade", key: "upgrade", value: protocol };
  const others = passed.filter(({ key }) => key !== "sec-websocket-key");
  if (protocol.toLowerCase() !== "websocket") return [...others, upgrade];
  const value = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
  return [...others, upgrade, { name: "Sec-WebSocket-Key", key: "sec-websocket-key", value }];
}
