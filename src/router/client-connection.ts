import { logRefused, sendLastPage, type Client, type Door } from "./exchange.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { parseRequestHead, readRefusedHead, type RequestHead } from "./http-head.ts";
import { BodyReader } from "./http-body.ts";
import { serveRequest } from "./proxy.ts";
import { serveRendezvous } from "./rendezvous.ts";
import { createHttp1Writer } from "./response-writer.ts";

/** Serves a client's requests one after the other, as long as the connection lasts. */
export async function serveConnection(client: Client, door: Door): Promise<void> {
  const { wire } = client;
  const { lingerMs } = door.limits;
  if (client.namesNoServer === true && (await serveRendezvous(client, door)) === "gone")
    return wire.close(lingerMs);
  for (;;) {
    const head = await receiveHead(client, door);
    if (head === "gone") return wire.close(lingerMs);
    if (typeof head === "number") {
      sendLastPage(wire, head, "no-page");
      return wire.close(lingerMs);
    }
    client.isAsking = true;
    const afterwards = await serveRequest({
      ...{ client, head, door },
      upload: new BodyReader(wire, head.body),
      writer: createHttp1Writer(wire, head),
    });
    client.isAsking = false;
    if (afterwards === "gone") return wire.close(lingerMs);
    if (afterwards === "close" || door.stopping) return wire.close(lingerMs);
    const room = wire.room();
    if (room !== undefined) await room;
  }
}

/** The next head; a status when there will be none; `gone` when the client has no more to ask. */
async function receiveHead(client: Client, door: Door): Promise<RequestHead | number | "gone"> {
  const { wire } = client;
  let timedOut = false;
  const expire = () => {
    timedOut = true;
    wire.interruptRead();
  };
  let timer = setTimeout(expire, door.limits.keepAliveMs);
  const received = new HeadBuffer();
  try {
    for (;;) {
      const piece = await wire.read();
      if (piece === null) return timedOut && !received.isEmpty ? 408 : "gone";
      const isFirst = received.isEmpty;
      const bytes = received.push(piece);
      if (bytes !== undefined) {
        const parsed = parseRequestHead(bytes);
        if (parsed.kind === "bad") {
          const refused = readRefusedHead(bytes);
          if (refused !== undefined) logRefused(refused, { client, door });
          return 400;
        }
        if (parsed.kind === "head") {
          wire.unread(bytes.subarray(parsed.byteLength));
          return parsed.head;
        }
      }
      // Heads come in one piece, nearly always; then no other timer is needed.
      if (isFirst) {
        clearTimeout(timer);
        timer = setTimeout(expire, door.limits.headMs);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}
