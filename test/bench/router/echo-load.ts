/**
 * Many WebSockets that each send a message of 100 bytes whenever the last one has come back:
 * `echo-load.ts PORT CONNECTIONS SECONDS`; prints figures as JSON.
 */
import type { Figures } from "./load.ts";

const [port = 0, connections = 1, seconds = 1] = process.argv.slice(2).map(Number);
const message = Buffer.alloc(106, "x");
// Text, whole, masked, 100 bytes long.
message.set([0x81, 0x80 + 100]);

const waitsMs: number[] = [];
const untilMs = performance.now() + seconds * 1_000;

function talk(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let sentAtMs = 0;
  let missing = -1;
  void Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open(socket) {
        socket.setNoDelay(true);
        socket.write(
          "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
      },
      data(socket, bytes) {
        if (missing === -1 && !bytes.toString("latin1").startsWith("HTTP/1.1 101 "))
          return reject(new Error(`no WebSocket: ${bytes.toString("latin1")}`));
        missing = missing === -1 ? 0 : missing - bytes.length;
        if (missing > 0) return;
        const now = performance.now();
        if (sentAtMs > 0) waitsMs.push(now - sentAtMs);
        if (now > untilMs) {
          resolve();
          return socket.terminate();
        }
        sentAtMs = now;
        missing = message.length;
        socket.write(message);
      },
      close: () => reject(new Error("the WebSocket was closed")),
      connectError: (_socket, error) => reject(error),
    },
  });
  return promise;
}

await Promise.all(Array.from({ length: connections }, talk));
waitsMs.sort((one, other) => one - other);
const at = (share: number) => waitsMs[Math.floor(waitsMs.length * share)] ?? 0;
const figures: Figures = {
  count: waitsMs.length,
  perSecond: waitsMs.length / seconds,
  p50Ms: at(0.5),
  p99Ms: at(0.99),
};
process.stdout.write(JSON.stringify(figures));
