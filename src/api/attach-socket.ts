import { z } from "zod";
import type { AttachedProgram } from "../dyno/attached-dyno.ts";

/** One hour without a byte in either direction ends a session (contract §2.2). */
const idleLimitMs = 60 * 60_000;
/** What may wait in the socket; the rest waits in the queue, for Bun drops what exceeds its limit. */
const socketBufferBytes = 1024 * 1024;

/** What a WebSocket of `/attach/…` carries. */
export class AttachSession {
  readonly #attached: AttachedProgram;
  #queue: (Uint8Array | string)[] = [];
  #ended = false;
  #idleTimer: Timer | undefined;
  /** There while something waits: the dyno's next output comes when it has gone. */
  #room: PromiseWithResolvers<void> | undefined;

  constructor(attached: AttachedProgram) {
    this.#attached = attached;
  }

  open(socket: Bun.ServerWebSocket<AttachSession>): void {
    this.#idleTimer = setTimeout(() => socket.close(1000, "idle for an hour"), idleLimitMs);
    this.#idleTimer.unref();
    this.#attached.attach({
      output: (bytes) => {
        this.#idleTimer?.refresh();
        // The bytes are the giver's: its buffer may be used again before ours are sent.
        this.#queue.push(bytes.slice());
        this.drain(socket);
        return this.#room?.promise;
      },
      exit: (status) => {
        this.#ended = true;
        this.#queue.push(JSON.stringify({ exit: status }));
        this.drain(socket);
      },
    });
  }

  receive(message: string | Uint8Array): void {
    this.#idleTimer?.refresh();
    if (this.#ended) return;
    if (typeof message !== "string") return void this.#attached.write(message);
    const control = parseControl(message);
    if (control?.resize) this.#attached.resize(control.resize);
    if (control?.eof) this.#attached.endInput();
  }

  /** Sends what waits, as far as the socket takes it. */
  drain(socket: Bun.ServerWebSocket<AttachSession>): void {
    let sent = 0;
    while (sent < this.#queue.length && socket.getBufferedAmount() < socketBufferBytes)
      socket.send(this.#queue[sent++] as Uint8Array<ArrayBuffer> | string);
    this.#queue = sent === this.#queue.length ? [] : this.#queue.slice(sent);
    if (this.#queue.length > 0) this.#room ??= Promise.withResolvers();
    else this.#makeRoom();
    if (this.#ended && this.#queue.length === 0) socket.close(1000, "exit");
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  close(): void {
    clearTimeout(this.#idleTimer);
    this.#queue = [];
    this.#makeRoom();
    if (!this.#ended) this.#attached.hangUp();
    this.#ended = true;
  }
}

const size = z.int().min(1).max(10_000);
const control = z.object({
  resize: z.object({ columns: size, lines: size }).optional(),
  eof: z.literal(true).optional(),
});

/** A control message that makes no sense is passed over: nothing depends on it but its sender. */
function parseControl(message: string): z.output<typeof control> | undefined {
  try {
    return control.safeParse(JSON.parse(message)).data;
  } catch {
    return undefined;
  }
}

/** The handlers for `Bun.serve({ websocket })`. */
export const websocket: Bun.WebSocketHandler<AttachSession> = {
  // Pings keep the session alive in a router that ends silent connections after 55 s.
  idleTimeout: 40,
  sendPings: true,
  maxPayloadLength: 4 * 1024 * 1024,
  open: (socket) => socket.data.open(socket),
  message: (socket, message) => socket.data.receive(message),
  drain: (socket) => socket.data.drain(socket),
  close: (socket) => socket.data.close(),
};
