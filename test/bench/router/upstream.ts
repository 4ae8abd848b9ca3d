/**
 * What all routers of the benchmark send their requests to: `upstream.ts PORT`. It reads no more of a
 * request than the letter after its slash, so that it is never what is measured: /small (200 bytes),
 * /large (20 KB), /download and /upload (1 GB), /echo (an upgrade, then every byte comes back).
 */
import type { Socket } from "bun";
import { gigabyte, sizes } from "./load.ts";

interface Connection {
  /** Bytes of an upload that are still to come. */
  uploadLeft: number;
  downloadLeft: number;
  echoes: boolean;
  unsent: Buffer;
}

const part = Buffer.alloc(256 * 1_024);
const head = (length: number) =>
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`;
const answer = (length: number) => Buffer.from(head(length) + "x".repeat(length));
const [small, large, done] = [answer(sizes.small), answer(sizes.large), answer(2)];
// The example of RFC 6455 §1.3; the clients of the benchmark send its key.
const switching = Buffer.from(
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
);

function send(socket: Socket<Connection>, bytes: Buffer): void {
  const { data } = socket;
  const rest = data.unsent.length === 0 ? bytes : Buffer.concat([data.unsent, bytes]);
  data.unsent = rest.subarray(Math.max(0, socket.write(rest)));
  while (data.unsent.length === 0 && data.downloadLeft > 0) {
    const piece = part.subarray(0, Math.min(part.length, data.downloadLeft));
    data.downloadLeft -= piece.length;
    data.unsent = piece.subarray(Math.max(0, socket.write(piece)));
  }
}

function receiveUpload(socket: Socket<Connection>, bytes: number): void {
  socket.data.uploadLeft -= bytes;
  if (socket.data.uploadLeft === 0) send(socket, done);
}

Bun.listen<Connection>({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  socket: {
    open(socket) {
      socket.setNoDelay(true);
      socket.data = { uploadLeft: 0, downloadLeft: 0, echoes: false, unsent: Buffer.alloc(0) };
    },
    data(socket, bytes) {
      const { data } = socket;
      if (data.echoes) return send(socket, Buffer.from(bytes));
      if (data.uploadLeft > 0) return receiveUpload(socket, bytes.length);
      // A head comes in one piece here: no router writes one in two.
      switch (String.fromCharCode(bytes[5] ?? 0)) {
        case "s":
          return send(socket, small);
        case "l":
          return send(socket, large);
        case "d":
          data.downloadLeft = gigabyte;
          return send(socket, Buffer.from(head(gigabyte)));
        case "u":
          data.uploadLeft = gigabyte;
          return receiveUpload(socket, bytes.length - bytes.indexOf("\r\n\r\n") - 4);
        case "e":
          data.echoes = true;
          return send(socket, switching);
        default:
          throw new Error(`what is ${bytes.toString()}`);
      }
    },
    drain: (socket) => send(socket, Buffer.alloc(0)),
  },
});
