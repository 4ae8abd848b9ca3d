import type { Socket, SocketHandler } from "bun";
import type { TLSSocket } from "node:tls";
import { Wire, type Transport } from "./wire.ts";

export interface Held {
  wire: Wire;
}

/** Handlers that make each plain socket a wire; `opened` gets it together with the socket. */
export function wireHandlers(
  opened: (wire: Wire, socket: Socket<Held>) => void,
): SocketHandler<Held> {
  return {
    open(socket) {
      socket.setNoDelay(true);
      const wire = new Wire(new PlainTransport(socket));
      socket.data = { wire };
      opened(wire, socket);
    },
    data: (socket, bytes) => socket.data.wire.handleData(bytes),
    drain: (socket) => socket.data?.wire.handleDrain(),
    end: (socket) => socket.data?.wire.handleEnd(),
    close: (socket, error) => socket.data?.wire.handleClose(error),
    error: (socket, error) => socket.data?.wire.handleClose(error),
  };
}

class PlainTransport implements Transport {
  readonly copies = true;
  readonly #socket: Socket<Held>;
  #full = false;

  constructor(socket: Socket<Held>) {
    this.#socket = socket;
  }

  write(bytes: Buffer, from: number, to: number): number {
    const taken = this.#socket.write(bytes as Buffer<ArrayBuffer>, from, to - from);
    this.#full = taken < to - from;
    return taken;
  }

  isFull = () => this.#full;
  pause = () => this.#socket.pause();
  resume = () => this.#socket.resume();
  // Not `end`, which closes both ways: what the other side still says would be lost.
  end = () => this.#socket.shutdown();
  terminate = () => this.#socket.terminate();
}

/** Makes a TLS connection a wire. */
export function tlsWire(socket: TLSSocket): Wire {
  socket.setNoDelay(true);
  const transport: Transport = {
    copies: false,
    write(bytes, from, to) {
      if (socket.destroyed || socket.writableEnded) return -1;
      socket.write(bytes.subarray(from, to));
      return to - from;
    },
    isFull: () => socket.writableNeedDrain,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    terminate: () => void socket.destroy(),
  };
  const wire = new Wire(transport);
  socket.on("data", (bytes: Buffer) => wire.handleData(bytes));
  socket.on("drain", () => wire.handleDrain());
  socket.on("end", () => wire.handleEnd());
  socket.on("error", (error) => wire.handleClose(error));
  socket.on("close", () => wire.handleClose());
  return wire;
}

export type Address = { hostname: string; port: number } | { unix: string };

/** Opens a connection; never throws. One that is made after the time is over is closed again. */
export function connect(
  address: Address,
  options: { timeoutMs: number },
): Promise<Wire | "refused" | "timeout"> {
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      resolve("timeout");
    }, options.timeoutMs);
    const settle = (result: Wire | "refused") => {
      clearTimeout(timer);
      if (late && result instanceof Wire) result.terminate();
      resolve(result);
    };
    const socket = {
      ...wireHandlers((wire) => settle(wire)),
      connectError: () => settle("refused"),
    };
    const connecting =
      "unix" in address
        ? Bun.connect<Held>({ unix: address.unix, allowHalfOpen: true, socket })
        : Bun.connect<Held>({ ...address, allowHalfOpen: true, socket });
    connecting.catch(() => settle("refused"));
  });
}

const retryMs = 20;

/**
 * A connection to the platform's socket. Such a socket refuses also when too many come at once (its
 * queue is full) or while the server starts anew: then it is tried again until the time is over.
 */
export async function connectToPlatform(
  socketPath: string,
  { client, timeoutMs }: { client: Wire; timeoutMs: number },
): Promise<Wire | "refused" | "timeout"> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const leftMs = untilMs - performance.now();
    const reached = await connect({ unix: socketPath }, { timeoutMs: Math.max(1, leftMs) });
    if (reached !== "refused" || client.ended || leftMs <= retryMs) return reached;
    await Bun.sleep(retryMs);
  }
}
