import { logRefused, sendLastPage, type Client, type Door } from "./exchange.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { parseRequestHead, readRefusedHead, type RequestHead } from "./http-head.ts";
import { BodyReader } from "./http-body.ts";
import { serveRequest } from "./proxy.ts";
import { serveRendezvous } from "./rendezvous.ts";
import { Http1Writer } from "./response-writer.ts";

/**
 * Serves a client's requests one after the other, as long as the connection lasts. What is there
 * already is not waited for: a promise for each small thing would be a good part of a request's time.
 */
export async function serveConnection(client: Client, door: Door): Promise<void> {
  const { wire } = client;
  const { lingerMs } = door.limits;
  if (client.namesNoServer === true && (await serveRendezvous(client, door)) === "gone")
    return wire.close(lingerMs);
  for (;;) {
    const next = receiveHead(client, door);
    const head = next instanceof Promise ? await next : next;
    if (head === "gone") return wire.close(lingerMs);
    if (typeof head === "number") {
      sendLastPage(wire, head, "no-page");
      return wire.close(lingerMs);
    }
    client.isAsking = true;
    const served = serveRequest({
      client,
      head,
      door,
      upload: new BodyReader(wire, head.body),
      writer: new Http1Writer(wire, head.version),
    });
    const afterwards = served instanceof Promise ? await served : served;
    client.isAsking = false;
    if (afterwards !== "keep" || door.stopping) return wire.close(lingerMs);
    const room = wire.room();
    if (room !== undefined) await room;
  }
}

/** A head; a status when there will be none; `gone` when the client has no more to ask. */
type Received = RequestHead | number | "gone";

/** The next head. */
function receiveHead(client: Client, door: Door): Received | Promise<Received> {
  const { wire } = client;
  wire.watchdog.set(door.limits.keepAliveMs, () => wire.interruptRead());
  const piece = wire.read();
  if (piece instanceof Promise) return piece.then((later) => firstPiece(client, door, later));
  return firstPiece(client, door, piece);
}

/** Heads come in one piece, nearly always. */
function firstPiece(
  client: Client,
  door: Door,
  piece: Buffer | null,
): Received | Promise<Received> {
  if (piece === null) {
    client.wire.watchdog.clear();
    return "gone";
  }
  const head = readHead(client, door, piece);
  if (head === undefined) return receiveRest(client, door, piece);
  client.wire.watchdog.clear();
  return head;
}

async function receiveRest(client: Client, door: Door, first: Buffer): Promise<Received> {
  const { wire } = client;
  const received = new HeadBuffer();
  received.push(first);
  let isLate = false;
  wire.watchdog.set(door.limits.headMs, () => {
    isLate = true;
    wire.interruptRead();
  });
  try {
    for (;;) {
      const piece = await wire.read();
      if (piece === null) return isLate ? 408 : "gone";
      const bytes = received.push(piece);
      const head = bytes === undefined ? undefined : readHead(client, door, bytes);
      if (head !== undefined) return head;
    }
  } finally {
    wire.watchdog.clear();
  }
}

/** The head at the start of the bytes; nothing when there is not all of it. */
function readHead(client: Client, door: Door, bytes: Buffer): RequestHead | 400 | undefined {
  const parsed = parseRequestHead(bytes);
  if (parsed.kind === "incomplete") return undefined;
  if (parsed.kind === "bad") {
    const refused = readRefusedHead(bytes);
    if (refused !== undefined) logRefused(refused, { client, door });
    return 400;
  }
  if (parsed.byteLength < bytes.length) client.wire.unread(bytes.subarray(parsed.byteLength));
  return parsed.head;
}
