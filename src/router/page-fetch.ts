import { lookup } from "node:dns/promises";
import { connect as connectTls } from "node:tls";
import { isPublicAddress } from "./addresses.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { BodyReader } from "./http-body.ts";
import { known } from "./header-lines.ts";
import { parseResponseHead, type ResponseHead } from "./http-head.ts";
import { connect, tlsWire } from "./sockets.ts";
import type { Wire } from "./wire.ts";

export interface PageFetchOptions {
  timeoutMs: number;
  maxBytes: number;
  /** Which addresses may be asked; only those of the public internet, usually. */
  isAllowed: (address: string) => boolean;
}

const usualOptions: PageFetchOptions = {
  timeoutMs: 3_000,
  maxBytes: 256 * 1_024,
  isAllowed: isPublicAddress,
};
const maxRedirects = 3;

/**
 * Fetches an HTML page that an app's owner named. The owner is a stranger, so the address is looked
 * up here, checked and then connected to, not its name: a name that answers differently the second
 * time leads nowhere. Throws a sentence.
 */
export async function fetchPage(
  url: string,
  options: Partial<PageFetchOptions> = {},
): Promise<string> {
  const all = { ...usualOptions, ...options };
  const open = new Set<Wire>();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`no answer in ${all.timeoutMs} ms`)),
    all.timeoutMs,
  );
  try {
    return await Promise.race([followRedirects(url, all, open), late]);
  } finally {
    clearTimeout(timer);
    for (const wire of open) wire.terminate();
  }
}

async function followRedirects(
  start: string,
  options: PageFetchOptions,
  open: Set<Wire>,
): Promise<string> {
  let url = new URL(start.startsWith("//") ? `https:${start}` : start);
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const wire = await openConnection(url, options);
    open.add(wire);
    const request =
      `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n` +
      "User-Agent: stator-router\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    wire.write(Buffer.from(request, "latin1"));
    const head = await readHead(wire);
    const [location] = head.headers.values(known.location);
    if (head.status < 300 || head.status > 399 || location === undefined)
      return readPage(wire, head, options);
    url = new URL(location, url);
  }
  throw new Error(`more than ${maxRedirects} redirects`);
}

async function openConnection(url: URL, options: PageFetchOptions): Promise<Wire> {
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new Error(`${url.protocol} is not http: or https:`);
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const [found, ...others] = await lookup(hostname, { all: true });
  if (found === undefined) throw new Error(`${hostname} has no address`);
  for (const { address } of [found, ...others])
    if (!options.isAllowed(address))
      throw new Error(`${hostname} is at ${address}, which is not on the public internet`);
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  if (url.protocol === "https:") return connectSafely(found.address, port, hostname);
  const wire = await connect({ hostname: found.address, port }, { timeoutMs: options.timeoutMs });
  if (typeof wire === "string") throw new Error(`${hostname} takes no connection: ${wire}`);
  return wire;
}

function connectSafely(address: string, port: number, servername: string): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: address, port, servername }, () => resolve(tlsWire(socket)));
    socket.once("error", reject);
  });
}

async function readHead(wire: Wire): Promise<ResponseHead> {
  const received = new HeadBuffer();
  for (;;) {
    const piece = await wire.read();
    if (piece === null) throw new Error("closed without an answer");
    const bytes = received.push(piece);
    if (bytes === undefined) continue;
    const parsed = parseResponseHead(bytes, { method: "GET" });
    if (parsed.kind === "bad") throw new Error("the answer is no HTTP");
    if (parsed.kind === "incomplete") continue;
    wire.unread(bytes.subarray(parsed.byteLength));
    return parsed.head;
  }
}

async function readPage(
  wire: Wire,
  head: ResponseHead,
  { maxBytes }: PageFetchOptions,
): Promise<string> {
  if (head.status !== 200) throw new Error(`the answer is ${head.status}, not 200`);
  const [type = ""] = head.headers.values(known["content-type"]);
  if (!/^text\/html\b/i.test(type)) throw new Error(`${type || "no type"} is not text/html`);
  if (head.headers.has(known["content-encoding"]))
    throw new Error("the answer is compressed, unasked");
  const body = new BodyReader(wire, head.body);
  const pieces: Buffer[] = [];
  let bytes = 0;
  while (!body.done) {
    for (const piece of await body.read()) {
      pieces.push(piece);
      bytes += piece.length;
    }
    if (bytes > maxBytes) throw new Error(`longer than ${maxBytes} bytes`);
  }
  return Buffer.concat(pieces).toString("utf8");
}
