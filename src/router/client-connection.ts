import { errorPage } from "./error-page.ts";
import { sendPage, type Client, type Door } from "./exchange.ts";
import { parseRequestHead, type RequestHead } from "./http-head.ts";
import { serveRequest } from "./proxy.ts";
import type { Wire } from "./wire.ts";

/** Serves a client's requests one after the other, as long as the connection lasts. */
export async function serveConnection(client: Client, door: Door): Promise<void> {
  const { wire } = client;
  const { lingerMs } = door.limits;
  for (;;) {
    const head = await receiveHead(wire, door);
    if (head === "gone") return wire.close(lingerMs);
    if (typeof head === "number") {
      sendPage(wire, {
        status: head,
        page: errorPage("no-page"),
        withBody: true,
        connection: [{ name: "Connection", value: "close" }],
      });
      return wire.close(lingerMs);
    }
    const afterwards = await serveRequest(client, head, door);
    if (afterwards === "gone") return wire.close(lingerMs);
    if (afterwards === "close" || door.stopping) return wire.close(lingerMs);
    const room = wire.room();
    if (room !== undefined) await room;
  }
}

/** The next head; a status when there will be none; `gone` when the client has no more to ask. */
async function receiveHead(wire: Wire, door: Door): Promise<RequestHead | number | "gone"> {
  let timedOut = false;
  const expire = () => {
    timedOut = true;
    wire.interruptRead();
  };
  let timer = setTimeout(expire, door.limits.keepAliveMs);
  let pieces: Buffer[] = [];
  try {
    for (;;) {
      const piece = await wire.read();
      if (piece === null) return timedOut && pieces.length > 0 ? 408 : "gone";
      if (pieces.length === 0) {
        clearTimeout(timer);
        timer = setTimeout(expire, door.limits.headMs);
      }
      pieces.push(piece);
      // Joined and read only when a line has ended, or a head of single bytes would cost its square.
      if (!piece.includes(10) && pieces.length < 8_192) continue;
      const bytes = pieces.length === 1 ? piece : Buffer.concat(pieces);
      const parsed = parseRequestHead(bytes);
      if (parsed.kind === "bad") return 400;
      if (parsed.kind === "head") {
        wire.unread(bytes.subarray(parsed.byteLength));
        return parsed.head;
      }
      pieces = [bytes];
    }
  } finally {
    clearTimeout(timer);
  }
}
