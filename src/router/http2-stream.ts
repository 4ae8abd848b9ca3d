import { headersOfInterim, headersOfSwitch, headersToClient } from "./forward-headers.ts";
import type { FixedLine, Header, HeaderLine, HeaderLines, HeaderSink } from "./header-lines.ts";
import type { Field } from "./hpack.ts";
import { BodyError, type BodySource } from "./http-body.ts";
import type { RequestHead, ResponseHead } from "./http-head.ts";
import { errorCode, Http2Error, type ErrorCode } from "./http2-frames.ts";
import type { Http2Sender, SendingStream } from "./http2-sender.ts";
import { ReceiveWindow } from "./receive-window.ts";
import type { ResponseWriter } from "./response-writer.ts";
import { Wire, type Transport } from "./wire.ts";

/** What a stream needs of its connection. */
export interface StreamPort {
  readonly sender: Http2Sender;
  /** Bytes were taken: the client may send as many more. */
  giveBack(stream: Http2Stream, bytes: number): void;
  /** The response was sent to its end. */
  answered(stream: Http2Stream): void;
  reset(stream: Http2Stream, code: ErrorCode): void;
}

/**
 * One request of an HTTP/2 connection: a wire of its own inside the connection's, from which its body
 * is read, and on which its response is written.
 */
export class Http2Stream implements Transport, SendingStream, BodySource, ResponseWriter {
  readonly copies = false;
  /** Streams come and go; the connection stays. */
  readonly keepsConnection = true;
  readonly id: number;
  readonly wire = new Wire(this);
  readonly receiveWindow: ReceiveWindow;
  readonly #port: StreamPort;
  sendWindow: number;
  /** The client has sent its last byte; we have sent ours. */
  remoteEnded = false;
  localEnded = false;
  /** Nothing can be sent or received any more. */
  closed = false;
  /** It asks to be a tunnel; and it has become one. */
  readonly #asksForTunnel: boolean;
  isTunnel = false;
  /** What Content-Length has promised. */
  readonly #expectedBytes: number | undefined;
  #receivedBytes = 0;
  /** Not given back to the client while nobody takes what was received. */
  #heldBytes = 0;
  #isPaused = false;
  #isFull = false;
  #receivedTrailers: readonly Header[] = [];
  #trailersToSend: readonly Header[] = [];

  constructor(
    id: number,
    port: StreamPort,
    options: { sendWindow: number; receiveWindow: number; head: RequestHead | undefined },
  ) {
    this.id = id;
    this.#port = port;
    this.sendWindow = options.sendWindow;
    this.receiveWindow = new ReceiveWindow(options.receiveWindow);
    this.#asksForTunnel = options.head?.upgrade === true;
    this.#expectedBytes =
      options.head?.body.kind === "length" ? options.head.body.bytes : undefined;
  }

  write(bytes: Buffer, from: number, to: number, last: boolean): number {
    if (this.closed || this.localEnded) return -1;
    const ends = last && this.#trailersToSend.length === 0;
    const sent = this.#port.sender.data(this, bytes.subarray(from, to), ends);
    this.#isFull = sent < to - from;
    this.localEnded = ends && !this.#isFull;
    return sent;
  }

  isFull = () => this.#isFull;

  drained(): void {
    if (this.#isFull) this.wire.handleDrain();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const held = this.#heldBytes;
    this.#heldBytes = 0;
    this.#port.giveBack(this, held);
  }

  end(): void {
    if (this.closed) return;
    if (!this.localEnded && this.#trailersToSend.length > 0)
      this.#port.sender.headers(this.id, fieldsOf(this.#trailersToSend), true);
    else if (!this.localEnded) this.#port.sender.endStream(this.id);
    this.localEnded = true;
    this.#port.answered(this);
  }

  terminate(): void {
    // A response that is not whole must not look like one that nobody wants any more.
    if (!this.closed) this.#port.reset(this, this.isTunnel ? errorCode.cancel : errorCode.internal);
  }

  receive(bytes: Buffer): void {
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes > (this.#expectedBytes ?? Infinity)) throw this.#wrongLength();
    if (!this.localEnded) this.wire.handleData(bytes);
    if (this.#isPaused && !this.localEnded) this.#heldBytes += bytes.length;
    else this.#port.giveBack(this, bytes.length);
  }

  /** The client has ended: for a tunnel a sign of going, for a request that it is whole. */
  receiveEnd(trailers: readonly Header[] = []): void {
    if (this.#receivedBytes !== (this.#expectedBytes ?? this.#receivedBytes))
      throw this.#wrongLength();
    this.#receivedTrailers = trailers;
    this.remoteEnded = true;
    if (this.#asksForTunnel) this.wire.handleEnd();
    else this.wire.interruptRead();
  }

  #wrongLength(): Http2Error {
    return new Http2Error(errorCode.protocol, "a body not as long as it said", this.id);
  }

  /** Reset, by the client or for what it did, or its connection is gone. */
  lose(): void {
    this.closed = true;
    this.wire.handleClose(new Error("stream reset"));
  }

  /** Whether the body of the request was read to its end. */
  get done(): boolean {
    return this.#asksForTunnel || (this.remoteEnded && !this.wire.hasBytes);
  }

  get trailers(): readonly Header[] {
    return this.#receivedTrailers;
  }

  read(): Buffer[] | Promise<Buffer[]> {
    if (this.done) return [];
    const bytes = this.wire.read();
    return bytes instanceof Promise ? bytes.then((later) => this.#take(later)) : this.#take(bytes);
  }

  #take(bytes: Buffer | null): Buffer[] {
    if (bytes !== null) return [bytes];
    if (!this.remoteEnded || this.closed) throw new BodyError("cut");
    return [];
  }

  sendContinue(): void {
    this.#sendHeaders([[":status", "100"]]);
  }

  sendInterim(head: ResponseHead): void {
    const fields = new FieldSink(head.status);
    headersOfInterim(fields, head);
    this.#sendHeaders(fields.all);
  }

  sendHead(head: ResponseHead, { added }: { added: readonly HeaderLine[] }): void {
    const endsHere =
      head.body.kind === "none" || (head.body.kind === "length" && head.body.bytes === 0);
    const unchunked: ResponseHead =
      head.body.kind === "chunked" ? { ...head, body: { kind: "until-close" } } : head;
    const fields = new FieldSink(head.status);
    headersToClient(fields, unchunked, { chunked: false, added });
    this.#sendHeaders(fields.all, endsHere);
    this.localEnded ||= endsHere;
    if (endsHere) this.end();
  }

  sendBody(
    pieces: readonly Buffer[],
    { last, trailers }: { last: boolean; trailers: readonly Header[] },
  ): void {
    for (const bytes of pieces) this.wire.write(bytes);
    if (!last) return;
    this.#trailersToSend = trailers;
    this.wire.end();
  }

  sendWholeBody(bytes: Buffer, from: number): void {
    this.wire.write(bytes, from);
    this.wire.end();
  }

  sendSwitch(head: ResponseHead, added: readonly HeaderLine[]): void {
    this.isTunnel = true;
    const fields = new FieldSink(200);
    headersOfSwitch(fields, head, added);
    this.#sendHeaders(fields.all.filter(([name]) => name !== "sec-websocket-accept"));
  }

  #sendHeaders(fields: readonly Field[], endsHere = false): void {
    if (!this.closed && !this.localEnded) this.#port.sender.headers(this.id, fields, endsHere);
  }
}

/** Of HTTP/1.1 only; in HTTP/2 they would make the response malformed. */
const notInHttp2 = new Set([
  ...["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"],
]);

/** The fields of a head. */
class FieldSink implements HeaderSink {
  readonly all: Field[];

  constructor(status: number) {
    this.all = [[":status", String(status)]];
  }

  line(lines: HeaderLines, index: number): void {
    this.add(lines.name(index), lines.value(index));
  }

  add(name: string, value: string): void {
    const key = name.toLowerCase();
    if (!notInHttp2.has(key)) this.all.push([key, value]);
  }

  fixed({ name, value }: FixedLine): void {
    this.add(name, value);
  }
}

function fieldsOf(trailers: readonly Header[]): Field[] {
  return trailers.filter(({ key }) => !notInHttp2.has(key)).map(({ key, value }) => [key, value]);
}
