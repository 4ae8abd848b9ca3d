import { headersOfInterim, headersOfSwitch, headersToClient } from "./forward-headers.ts";
import type { Field } from "./hpack.ts";
import { BodyError, type BodySource } from "./http-body.ts";
import type { Header, HeaderLine, ResponseHead } from "./http-head.ts";
import { errorCode, type ErrorCode } from "./http2-frames.ts";
import type { ResponseWriter } from "./response-writer.ts";
import { Wire, type Transport } from "./wire.ts";

/** What a stream can do on its connection. */
export interface StreamPort {
  sendHeaders(streamId: number, fields: readonly Field[], endStream: boolean): void;
  /** Sends as much as both windows and the socket have room for; how much that was. */
  sendData(stream: Http2Stream, bytes: Uint8Array): number;
  /** Whether the socket takes no more for now. */
  isBlocked(): boolean;
  endData(stream: Http2Stream): void;
  reset(stream: Http2Stream, code: ErrorCode): void;
  /** Bytes that were taken: the client may send as many more. */
  giveBack(stream: Http2Stream, bytes: number): void;
}

/** One request of an HTTP/2 connection: a wire of its own inside the connection's. */
export class Http2Stream implements Transport {
  readonly id: number;
  readonly wire: Wire;
  readonly #port: StreamPort;
  /** How much may be sent and received until the other side says more. */
  sendWindow: number;
  receiveWindow: number;
  /** Received, taken, and not yet given back to the client's window. */
  unreturned = 0;
  /** Held back while nobody takes what was received. */
  #held = 0;
  #paused = false;
  #full = false;
  /** The client has sent its last byte; the response was sent to its end. */
  remoteEnded = false;
  localEnded = false;
  /** Nothing can be sent or received any more. */
  closed = false;
  isTunnel = false;
  /** The response was its head alone, which said so. */
  headEndedIt = false;
  /** What Content-Length promised, and what came. */
  expectedBytes: number | undefined;
  receivedBytes = 0;
  receivedTrailers: Header[] = [];
  trailers: readonly Header[] = [];

  constructor(id: number, port: StreamPort, windows: { send: number; receive: number }) {
    this.id = id;
    this.#port = port;
    this.sendWindow = windows.send;
    this.receiveWindow = windows.receive;
    this.wire = new Wire(this);
  }

  write(bytes: Uint8Array): number {
    if (this.closed || this.localEnded) return -1;
    const taken = this.#port.sendData(this, bytes);
    this.#full = taken < bytes.length || this.#port.isBlocked();
    return taken;
  }

  isFull(): boolean {
    return this.#full;
  }

  /** There is room again. */
  drained(): void {
    if (this.#full) this.wire.handleDrain();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = 0;
    if (held > 0) this.#port.giveBack(this, held);
  }

  end(): void {
    if (!this.closed && !this.localEnded) this.#port.endData(this);
  }

  terminate(): void {
    if (!this.closed) this.#port.reset(this, errorCode.cancel);
  }

  receive(bytes: Buffer): void {
    this.receivedBytes += bytes.length;
    if (this.localEnded || this.closed) return this.#port.giveBack(this, bytes.length);
    this.wire.handleData(bytes);
    if (this.#paused) this.#held += bytes.length;
    else this.#port.giveBack(this, bytes.length);
  }

  receiveEnd(): void {
    this.remoteEnded = true;
    // For a request that is no sign of going; for a tunnel it is.
    if (this.isTunnel) this.wire.handleEnd();
    else this.wire.interruptRead();
  }

  /** Reset by the client, or its connection is gone. */
  receiveLoss(): void {
    this.closed = true;
    this.wire.handleClose(new Error("reset"));
  }

  /** The body of the request. */
  get upload(): BodySource {
    return new Http2Upload(this);
  }

  get writer(): ResponseWriter {
    return createHttp2Writer(this, this.#port);
  }
}

class Http2Upload implements BodySource {
  readonly #stream: Http2Stream;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  get done(): boolean {
    return this.#stream.isTunnel || (this.#stream.remoteEnded && !this.#stream.wire.hasBytes);
  }

  get trailers(): readonly Header[] {
    return this.#stream.receivedTrailers;
  }

  read(): Buffer[] | Promise<Buffer[]> {
    const { wire, remoteEnded } = this.#stream;
    if (remoteEnded && !wire.hasBytes) return [];
    const bytes = wire.read();
    return bytes instanceof Promise ? bytes.then((later) => this.#take(later)) : this.#take(bytes);
  }

  #take(bytes: Buffer | null): Buffer[] {
    if (bytes !== null) return [bytes];
    if (!this.#stream.remoteEnded || this.#stream.closed) throw new BodyError("cut");
    return [];
  }
}

/** Of HTTP/1.1 only; in HTTP/2 they would make the response malformed. */
const notInHttp2 = new Set([
  ...["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"],
]);

function fieldsOf(status: number, lines: readonly HeaderLine[]): Field[] {
  const fields: Field[] = [[":status", String(status)]];
  for (const { name, value } of lines) {
    const key = name.toLowerCase();
    if (!notInHttp2.has(key)) fields.push([key, value]);
  }
  return fields;
}

function createHttp2Writer(stream: Http2Stream, port: StreamPort): ResponseWriter {
  const send = (fields: readonly Field[], endStream: boolean) => {
    if (!stream.closed && !stream.localEnded) port.sendHeaders(stream.id, fields, endStream);
  };
  return {
    // Streams come and go; the connection stays.
    keepsConnection: true,
    sendContinue: () => send([[":status", "100"]], false),
    sendInterim: (head) => send(fieldsOf(head.status, headersOfInterim(head)), false),
    sendHead(head, { added }) {
      const isEmpty =
        head.body.kind === "none" || (head.body.kind === "length" && head.body.bytes === 0);
      const unwrapped: ResponseHead =
        head.body.kind === "chunked" ? { ...head, body: { kind: "until-close" } } : head;
      send(fieldsOf(head.status, headersToClient(unwrapped, { chunked: false, added })), isEmpty);
      stream.headEndedIt = isEmpty;
      if (isEmpty && !stream.closed) port.endData(stream);
    },
    sendBody(pieces, { last, trailers }) {
      for (const bytes of pieces) stream.wire.write(bytes);
      if (!last) return;
      stream.trailers = trailers;
      stream.wire.end();
    },
    sendSwitch(head, added) {
      const lines = headersOfSwitch(head, added).filter(
        ({ name }) => name.toLowerCase() !== "sec-websocket-accept",
      );
      send(fieldsOf(200, lines), false);
    },
  };
}
