import type { Field } from "./hpack.ts";
import {
  isFieldValue,
  isToken,
  readHost,
  readLength,
  type Header,
  type RequestHead,
} from "./http-head.ts";

const maxLineBytes = 8_192;
const maxHeaders = 1_000;
const maxNameLength = 1_000;
const maxMethodLength = 127;
const target = /^[\x21-\x7e\x80-\xff]+$/;

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
  const { pseudo, headers } = split;
  const [method, scheme, path, protocol] = [":method", ":scheme", ":path", ":protocol"].map(
    (name) => pseudo.get(name),
  );
  const authority = pseudo.get(":authority");
  if (method === undefined || !isToken(method)) return "malformed";
  const isTunnel = protocol !== undefined;
  if (isTunnel !== (method === "CONNECT")) return isTunnel ? "malformed" : "bad";
  if (scheme === undefined || path === undefined || path === "") return "malformed";
  if (isTunnel && (options.endsHere || !isToken(protocol))) return "malformed";
  if (!target.test(path) || path.includes("#")) return "malformed";
  if (!path.startsWith("/") && !(path === "*" && method === "OPTIONS")) return "malformed";

  const hosts = headers.filter(({ key }) => key === "host").map(({ value }) => value);
  const [name] = authority === undefined ? hosts : [authority];
  const host = name === undefined ? undefined : readHost(name);
  if (host === undefined || hosts.some((other) => readHost(other) !== host)) return "bad";
  const length = readLength(headers);
  if (length === "bad" || (length !== undefined && length > 0 && options.endsHere))
    return "malformed";
  if (!isWithinLimits(method, path, headers)) return "bad";
  return {
    method: isTunnel ? "GET" : method,
    target: path,
    version: "2.0",
    headers: [
      { name: "Host", key: "host", value: name! },
      ...joinCookies(headers.filter(({ key }) => key !== "host")),
      ...(isTunnel ? headersOfUpgrade(protocol) : []),
    ],
    host,
    body:
      options.endsHere || isTunnel
        ? { kind: "none" }
        : length === undefined
          ? { kind: "chunked" }
          : { kind: "length", bytes: length },
    keepAlive: true,
    upgrade: isTunnel,
    expect: expectOf(headers),
  };
}

function splitFields(
  fields: readonly Field[],
): { pseudo: Map<string, string>; headers: Header[] } | undefined {
  const pseudo = new Map<string, string>();
  const headers: Header[] = [];
  for (const [name, value] of fields) {
    if (!isFieldValue(value) || value !== value.trim()) return undefined;
    if (name.startsWith(":")) {
      if (headers.length > 0 || pseudo.has(name) || !pseudoNames.has(name)) return undefined;
      pseudo.set(name, value);
      continue;
    }
    if (!isToken(name) || /[A-Z]/.test(name) || ofOneConnection.has(name)) return undefined;
    if (name === "te" && value !== "trailers") return undefined;
    headers.push({ name, key: name, value });
  }
  return { pseudo, headers };
}

const pseudoNames = new Set([":method", ":scheme", ":authority", ":path", ":protocol"]);

/** The limits of HTTP/1.1 (contract §3.5), since an app's server has them. */
function isWithinLimits(method: string, path: string, headers: readonly Header[]): boolean {
  return (
    method.length <= maxMethodLength &&
    method.length + path.length + " HTTP/1.1 ".length <= maxLineBytes &&
    headers.length <= maxHeaders &&
    headers.every(
      ({ name, value }) =>
        name.length <= maxNameLength && name.length + value.length + 2 <= maxLineBytes,
    )
  );
}

/** HTTP/2 may cut the Cookie header at its semicolons; apps know it in one piece (RFC 9113 §8.2.3). */
function joinCookies(headers: readonly Header[]): Header[] {
  const cookies = headers.filter(({ key }) => key === "cookie");
  if (cookies.length < 2) return [...headers];
  const value = cookies.map((cookie) => cookie.value).join("; ");
  return [
    ...headers.filter(({ key }) => key !== "cookie"),
    { name: "cookie", key: "cookie", value },
  ];
}

function headersOfUpgrade(protocol: string): Header[] {
  const upgrade = { name: "Upgrade", key: "upgrade", value: protocol };
  if (protocol !== "websocket") return [upgrade];
  const value = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
  return [upgrade, { name: "Sec-WebSocket-Key", key: "sec-websocket-key", value }];
}

function expectOf(headers: readonly Header[]): RequestHead["expect"] {
  const values = headers.filter(({ key }) => key === "expect");
  if (values.length === 0) return "nothing";
  return values.every(({ value }) => value.toLowerCase() === "100-continue")
    ? "100-continue"
    : "something else";
}
