import type { Client, Door } from "./exchange.ts";
import { readSecretLine } from "../lib/secret-line.ts";
import { connectToPlatform } from "./sockets.ts";
import { runTunnel } from "./tunnel.ts";
import type { Wire } from "./wire.ts";

/**
 * Heroku's command line comes for an attached dyno by TLS that names no server, and begins with a
 * secret's line. Such a client goes to the platform, with all that it said; `http` when it is none,
 * and nothing was taken from its wire.
 */
export async function serveRendezvous(client: Client, door: Door): Promise<"http" | "gone"> {
  const { wire } = client;
  const first = await receiveSecretLine(wire, door);
  if (first !== "secret") return first;
  const place = door.routes.current.rendezvous;
  if (place === undefined) return "gone";
  client.isAsking = true;
  const { connectMs, idleMs } = door.limits;
  const platform = await connectToPlatform(place.socket, { client: wire, timeoutMs: connectMs });
  if (typeof platform === "string") return "gone";
  // The platform knows when such a client was silent for too long.
  await runTunnel(wire, platform, { idleMs: undefined, lastWordsMs: idleMs });
  return "gone";
}

/** Waits as long as for the head of a request; what was read can be read again. */
async function receiveSecretLine(wire: Wire, door: Door): Promise<"secret" | "http" | "gone"> {
  const { keepAliveMs, headMs } = door.limits;
  const expire = () => wire.interruptRead();
  let timer = setTimeout(expire, keepAliveMs);
  let received: Buffer = Buffer.alloc(0);
  try {
    for (;;) {
      const piece = await wire.read();
      if (piece === null) return "gone";
      const isFirst = received.length === 0;
      received = isFirst ? piece : Buffer.concat([received, piece]);
      const { kind } = readSecretLine(received);
      if (kind === "bad") return "gone";
      if (kind !== "incomplete") {
        wire.unread(received);
        return kind === "secret" ? "secret" : "http";
      }
      if (!isFirst) continue;
      clearTimeout(timer);
      timer = setTimeout(expire, headMs);
    }
  } finally {
    clearTimeout(timer);
  }
}
