import type { Wire } from "./wire.ts";

/**
 * Bytes both ways, until both sides have ended or nothing has moved for `idleMs`. A side that ends
 * leaves the other `lastWordsMs` of silence to end too. Returns the bytes that went to the client.
 */
export async function runTunnel(
  client: Wire,
  upstream: Wire,
  options: { idleMs: number | undefined; lastWordsMs: number },
): Promise<number> {
  const stopWatching = watchSilence(client, upstream, options);
  const [toClient] = await Promise.all([pump(upstream, client), pump(client, upstream)]);
  stopWatching();
  client.close(options.lastWordsMs);
  upstream.close(options.lastWordsMs);
  return toClient;
}

async function pump(from: Wire, to: Wire): Promise<number> {
  let bytes = 0;
  for (let part = await from.read(); part !== null && !to.closed; part = await from.read()) {
    to.write(part);
    bytes += part.length;
    const room = to.room();
    if (room !== undefined) await room;
  }
  // A broken or closed side can't be talked to any more: the other has nobody left.
  if (from.broken || to.closed) {
    from.terminate();
    to.terminate();
  } else to.end();
  return bytes;
}

function watchSilence(
  client: Wire,
  upstream: Wire,
  { idleMs, lastWordsMs }: { idleMs: number | undefined; lastWordsMs: number },
): () => void {
  const everyMs = Math.max(5, Math.min(1_000, (idleMs ?? lastWordsMs) / 4));
  const timer = setInterval(() => {
    const limitMs = client.ended || upstream.ended ? lastWordsMs : idleMs;
    const activeAtMs = Math.max(client.activeAtMs, upstream.activeAtMs);
    if (limitMs === undefined || performance.now() - activeAtMs < limitMs) return;
    client.terminate();
    upstream.terminate();
  }, everyMs);
  return () => clearInterval(timer);
}
