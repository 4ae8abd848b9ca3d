import { encodeFields, type Field } from "./hpack.ts";
import {
  errorCode,
  firstWindow,
  flag,
  frameHead,
  frameType,
  greatestWindow,
  headerFrames,
  Http2Error,
  maxFrameBytes,
  numbersFrame,
  settingsFrame,
  type ErrorCode,
} from "./http2-frames.ts";
import type { Patience } from "./patience.ts";
import type { Wire } from "./wire.ts";

/** A stream that has something to send. */
export interface SendingStream {
  readonly id: number;
  /** How much it may send until the client says more. */
  sendWindow: number;
  /** There is room again, perhaps. */
  drained(): void;
}

/** What one connection of HTTP/2 says: within the client's windows, its streams in turn. */
export class Http2Sender {
  readonly #wire: Wire;
  readonly #patience: Patience | undefined;
  #window = firstWindow;
  /** Streams that could not send all they have; who waits longest is the next. */
  readonly #waiting = new Set<SendingStream>();
  #waitsForRoom = false;

  /** What is sent makes up for the frames with which the client makes room for it. */
  constructor(wire: Wire, patience?: Patience) {
    this.#wire = wire;
    this.#patience = patience;
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    this.#wire.write(settingsFrame(settings));
  }

  acknowledgeSettings(): void {
    this.#wire.write(frameHead(frameType.settings, flag.ack, 0, 0));
  }

  acknowledgePing(payload: Buffer): void {
    this.#wire.write(Buffer.concat([frameHead(frameType.ping, flag.ack, 0, 8), payload]));
  }

  /** The client may send so much more, on a stream, or on the whole connection (0). */
  widen(streamId: number, bytes: number): void {
    if (bytes > 0) this.#wire.write(numbersFrame(frameType.windowUpdate, streamId, [bytes]));
  }

  reset(streamId: number, code: ErrorCode): void {
    this.#wire.write(numbersFrame(frameType.reset, streamId, [code]));
  }

  /** Streams after this one are not served any more. */
  goAway(lastStreamId: number, code: ErrorCode): void {
    this.#wire.write(numbersFrame(frameType.goAway, 0, [lastStreamId, code]));
  }

  headers(streamId: number, fields: readonly Field[], endStream: boolean): void {
    for (const part of headerFrames(streamId, encodeFields(fields), endStream))
      this.#wire.write(part);
  }

  endStream(streamId: number): void {
    this.#wire.write(frameHead(frameType.data, flag.endStream, streamId, 0));
  }

  /**
   * Sends as much as there is room for, and says how much that was; the stream hears when it may
   * go on. With `last` the stream ends when all was sent.
   */
  data(stream: SendingStream, bytes: Uint8Array, last: boolean): number {
    const allowed = this.#wire.hasRoom ? Math.min(stream.sendWindow, this.#window) : 0;
    const sent = Math.max(0, Math.min(bytes.length, allowed));
    for (let at = 0; at < sent; at += maxFrameBytes) {
      const length = Math.min(maxFrameBytes, sent - at);
      this.#patience?.relieve(2);
      const flags = last && at + length === bytes.length ? flag.endStream : 0;
      this.#wire.write(frameHead(frameType.data, flags, stream.id, length));
      this.#wire.write(bytes.subarray(at, at + length) as Buffer);
    }
    stream.sendWindow -= sent;
    this.#window -= sent;
    if (sent < bytes.length) this.#waiting.add(stream);
    if (!this.#wire.hasRoom) this.#resumeWithRoom();
    return sent;
  }

  forget(stream: SendingStream): void {
    this.#waiting.delete(stream);
  }

  /** The client lets us send more, of one stream or of all together. */
  receiveWindowUpdate(increment: number, stream?: SendingStream): void {
    const window = (stream === undefined ? this.#window : stream.sendWindow) + increment;
    if (window > greatestWindow)
      throw new Http2Error(errorCode.flowControl, "window too large", stream?.id);
    if (stream === undefined) this.#window = window;
    else stream.sendWindow = window;
    this.resume();
  }

  /** Lets those go on that wait, as far as there is room. */
  resume(): void {
    for (const stream of [...this.#waiting]) {
      if (this.#window <= 0) return;
      if (!this.#wire.hasRoom) return this.#resumeWithRoom();
      if (stream.sendWindow <= 0) continue;
      this.#waiting.delete(stream);
      stream.drained();
    }
  }

  #resumeWithRoom(): void {
    if (this.#waitsForRoom) return;
    this.#waitsForRoom = true;
    void this.#wire.room()?.then(() => {
      this.#waitsForRoom = false;
      this.resume();
    });
  }
}
