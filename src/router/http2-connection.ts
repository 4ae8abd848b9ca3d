import { answerBadRequest, logRefused, reportBug, type Client, type Door } from "./exchange.ts";
import { HpackDecoder, HpackError, type Field } from "./hpack.ts";
import {
  dependency,
  errorCode,
  firstWindow,
  flag,
  frameType,
  greatestStreamId,
  greatestWindow,
  Http2Error,
  preface,
  readFrame,
  readHeaderBlock,
  readSettings,
  setting,
  withoutPadding,
  type ErrorCode,
  type Frame,
} from "./http2-frames.ts";
import { readHttp2Request, readHttp2Trailers, readRefusedFields } from "./http2-request.ts";
import { Http2Sender } from "./http2-sender.ts";
import { Http2Stream, type StreamPort } from "./http2-stream.ts";
import { createPatience } from "./patience.ts";
import { serveRequest } from "./proxy.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { cutOffWhenSilent } from "./silence.ts";
import type { Wire } from "./wire.ts";

const maxStreams = 100;
const streamWindow = 512 * 1_024;
/** Streams of which nobody takes anything hold no more than this; the others need some, too. */
const connectionWindow = 4 * 1_024 * 1_024;
const maxHeaderBytes = 128 * 1_024;
/** Frames, weighed: what a browser that changes its mind needs, far below what hurts. */
const patience = { most: 1_000, perSecond: 50 };
const weight = { frame: 1, reset: 5, request: 10 };
const maxRemembered = 200;
const emptyBuffer = Buffer.alloc(0);

/**
 * HTTP/2 to a client (RFC 9113), on a wire whose TLS handshake has chosen it. Each stream becomes a
 * request like those of HTTP/1.1; to the dynos nothing is different.
 */
export async function serveHttp2(client: Client, door: Door): Promise<void> {
  const { wire } = client;
  const connection = new Http2Connection(client, door);
  client.onStopping = () => connection.announceEnd();
  client.leave = () => connection.end(errorCode.none);
  connection.begin();
  if (door.stopping) connection.announceEnd();
  try {
    for (let bytes = await wire.read(); bytes !== null; bytes = await wire.read()) {
      connection.receive(bytes);
      // Whoever does not read what we say is not heard either.
      const room = wire.room();
      if (room !== undefined) await room;
    }
  } catch (error) {
    if (!(error instanceof Http2Error)) throw error;
    connection.end(error.code);
  } finally {
    connection.lose();
    wire.close(door.limits.lastWordMs);
  }
}

/** The last word to a client that is one too many. */
export function refuseHttp2(wire: Wire): void {
  const sender = new Http2Sender(wire);
  sender.settings([]);
  sender.goAway(0, errorCode.enhanceYourCalm);
}

class Http2Connection implements StreamPort {
  readonly sender: Http2Sender;
  readonly #client: Client;
  readonly #door: Door;
  readonly #decoder = new HpackDecoder();
  readonly #patience = createPatience(patience);
  readonly #receiveWindow = new ReceiveWindow(connectionWindow);
  readonly #streams = new Map<number, Http2Stream>();
  /** Streams that we ended early: what is still on its way to them is nobody's fault. */
  readonly #endedByUs = new Set<number>();
  #lastStreamId = 0;
  #initialSendWindow = firstWindow;
  /** A frame of which not all is there. */
  #pending: Buffer = emptyBuffer;
  #prefaceIsRead = false;
  #settingsAreRead = false;
  /** A header block of which not all is there: nothing else may come before its end. */
  #block: { streamId: number; endStream: boolean; parts: Buffer[]; bytes: number } | undefined;
  /** Since when the client owes us something: its preface, the end of a block, a request. */
  #owingSinceMs = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client, door: Door) {
    this.#client = client;
    this.#door = door;
    this.sender = new Http2Sender(client.wire, this.#patience);
  }

  begin(): void {
    this.sender.settings([
      [setting.maxConcurrentStreams, maxStreams],
      [setting.initialWindowSize, streamWindow],
      [setting.maxHeaderListSize, maxHeaderBytes],
      [setting.enableConnectProtocol, 1],
    ]);
    this.sender.widen(0, connectionWindow - firstWindow);
    this.#watchDebts();
  }

  /** Requests that are on their way are still served; the client is to make no more here. */
  announceEnd(): void {
    this.sender.goAway(greatestStreamId, errorCode.none);
  }

  end(code: ErrorCode): void {
    this.sender.goAway(this.#lastStreamId, code);
    this.#client.wire.close(this.#door.limits.lastWordMs);
  }

  /** The connection is gone, and all that was under way with it. */
  lose(): void {
    clearTimeout(this.#timer);
    for (const stream of [...this.#streams.values()]) stream.lose();
    this.#streams.clear();
  }

  #watchDebts(): void {
    const { headMs, keepAliveMs } = this.#door.limits;
    const check = () => {
      const owesHead = this.#block !== undefined || !this.#prefaceIsRead;
      const isBusy = this.#streams.size > 0 && !owesHead;
      const limitMs = owesHead ? headMs : keepAliveMs;
      const leftMs = isBusy ? limitMs : this.#owingSinceMs + limitMs - performance.now();
      if (leftMs <= 0) this.end(errorCode.none);
      else this.#timer = setTimeout(check, Math.ceil(Math.min(leftMs, headMs)));
    };
    check();
  }

  receive(bytes: Buffer): void {
    const all = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    let at = this.#prefaceIsRead ? 0 : this.#receivePreface(all);
    while (this.#prefaceIsRead) {
      const next = readFrame(all, at);
      if (next === undefined) break;
      at = next.end;
      this.#receiveFrame(next.frame);
    }
    this.#pending = at === all.length ? emptyBuffer : all.subarray(at);
  }

  /** Returns where the frames begin. */
  #receivePreface(bytes: Buffer): number {
    const length = Math.min(bytes.length, preface.length);
    if (!bytes.subarray(0, length).equals(preface.subarray(0, length)))
      throw new Http2Error(errorCode.protocol, "no preface");
    this.#prefaceIsRead = length === preface.length;
    return this.#prefaceIsRead ? length : 0;
  }

  #receiveFrame(frame: Frame): void {
    try {
      this.#dispatch(frame);
    } catch (error) {
      if (!(error instanceof Http2Error) || error.streamId === undefined) throw error;
      this.#strain(weight.reset);
      const stream = this.#streams.get(error.streamId);
      if (stream === undefined) return this.#sendReset(error.streamId, error.code);
      this.reset(stream, error.code);
      stream.lose();
    }
  }

  #dispatch(frame: Frame): void {
    if (!this.#settingsAreRead && frame.type !== frameType.settings)
      throw new Http2Error(errorCode.protocol, "no settings first");
    if (this.#block !== undefined && frame.type !== frameType.continuation)
      throw new Http2Error(errorCode.protocol, "a frame inside a header block");
    // Those that bring something forward make up for it.
    this.#strain(weight.frame);
    switch (frame.type) {
      case frameType.data:
        return this.#receiveData(frame);
      case frameType.headers:
        return this.#receiveHeaders(frame);
      case frameType.continuation:
        return this.#receiveContinuation(frame);
      case frameType.priority:
        return this.#receivePriority(frame);
      case frameType.reset:
        return this.#receiveReset(frame);
      case frameType.settings:
        return this.#receiveSettings(frame);
      case frameType.ping:
        return frame.flags & flag.ack ? undefined : this.sender.acknowledgePing(frame.payload);
      case frameType.windowUpdate:
        return this.#receiveWindowUpdate(frame);
      case frameType.pushPromise:
        throw new Http2Error(errorCode.protocol, "a client does not push");
    }
  }

  #strain(by: number): void {
    if (!this.#patience.strain(by))
      throw new Http2Error(errorCode.enhanceYourCalm, "too many frames that bring nothing forward");
  }

  #receiveData(frame: Frame): void {
    const { streamId, flags, payload } = frame;
    const stream = this.#openStream(streamId);
    if (!this.#receiveWindow.receive(payload.length))
      throw new Http2Error(errorCode.flowControl, "window exceeded");
    const bytes = withoutPadding(frame);
    if (stream === undefined || stream.remoteEnded) {
      this.sender.widen(0, this.#receiveWindow.take(payload.length));
      if (stream === undefined && this.#endedByUs.has(streamId)) return;
      throw new Http2Error(errorCode.streamClosed, "data after the end", streamId);
    }
    if (!stream.receiveWindow.receive(payload.length))
      throw new Http2Error(errorCode.flowControl, "window exceeded", streamId);
    this.giveBack(stream, payload.length - bytes.length);
    if (bytes.length > 0) {
      this.#patience.relieve(2 * weight.frame);
      stream.receive(bytes);
    }
    if (flags & flag.endStream) this.#endOfRequest(stream);
  }

  #endOfRequest(stream: Http2Stream, trailers?: Parameters<Http2Stream["receiveEnd"]>[0]): void {
    stream.receiveEnd(trailers);
    if (stream.localEnded) this.#forget(stream);
  }

  #receiveHeaders(frame: Frame): void {
    const { streamId, flags } = frame;
    if (streamId % 2 === 0) throw new Http2Error(errorCode.protocol, "not a client's stream");
    const bytes = readHeaderBlock(frame);
    const endStream = (flags & flag.endStream) !== 0;
    this.#block = { streamId, endStream, parts: [bytes], bytes: bytes.length };
    this.#owingSinceMs = performance.now();
    if (flags & flag.endHeaders) this.#endOfBlock();
  }

  #receiveContinuation({ streamId, flags, payload }: Frame): void {
    const block = this.#block;
    if (block === undefined || block.streamId !== streamId)
      throw new Http2Error(errorCode.protocol, "nothing to continue");
    block.parts.push(payload);
    block.bytes += payload.length;
    if (block.bytes > maxHeaderBytes)
      throw new Http2Error(errorCode.enhanceYourCalm, "headers too long");
    if (flags & flag.endHeaders) this.#endOfBlock();
  }

  #endOfBlock(): void {
    const { streamId, endStream, parts } = this.#block!;
    this.#block = undefined;
    const fields = this.#decode(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) return this.#receiveTrailers(stream, fields, endStream);
    if (streamId <= this.#lastStreamId) {
      if (this.#endedByUs.has(streamId)) return;
      throw new Http2Error(errorCode.streamClosed, "headers of a closed stream");
    }
    this.#lastStreamId = streamId;
    if (this.#streams.size >= maxStreams)
      throw new Http2Error(errorCode.refusedStream, "too many streams", streamId);
    this.#openRequest(streamId, fields, endStream);
  }

  #decode(block: Buffer): Field[] | "too long" {
    try {
      return this.#decoder.decode(block, maxHeaderBytes);
    } catch (error) {
      if (!(error instanceof HpackError)) throw error;
      throw new Http2Error(errorCode.compression, error.message);
    }
  }

  #receiveTrailers(stream: Http2Stream, fields: Field[] | "too long", endStream: boolean): void {
    if (stream.remoteEnded)
      throw new Http2Error(errorCode.streamClosed, "headers after the end", stream.id);
    const trailers = fields === "too long" || !endStream ? undefined : readHttp2Trailers(fields);
    if (trailers === undefined)
      throw new Http2Error(errorCode.protocol, "these are no trailers", stream.id);
    this.#endOfRequest(stream, trailers);
  }

  #openRequest(streamId: number, fields: Field[] | "too long", endsHere: boolean): void {
    const head = fields === "too long" ? "bad" : readHttp2Request(fields, { endsHere });
    if (head === "malformed")
      throw new Http2Error(errorCode.protocol, "malformed request", streamId);
    const stream = new Http2Stream(streamId, this, {
      sendWindow: this.#initialSendWindow,
      receiveWindow: streamWindow,
      head: head === "bad" ? undefined : head,
    });
    this.#streams.set(streamId, stream);
    this.#client.isAsking = true;
    if (endsHere) stream.receiveEnd();
    const { wire } = stream;
    if (head === "bad") {
      const refused = fields === "too long" ? undefined : readRefusedFields(fields);
      if (refused !== undefined) logRefused(refused, { client: this.#client, door: this.#door });
      return answerBadRequest(stream);
    }
    const { address, tlsVersion, isMisdirected } = this.#client;
    const client = { wire, address, tlsVersion, isMisdirected };
    serveRequest(
      { client, head, door: this.#door, upload: stream, writer: stream },
      {
        ended: (afterwards) => {
          if (afterwards === "gone" && !stream.isTunnel) wire.terminate();
          // What it does not take holds the connection; nothing is left to be waited for otherwise.
          else if (!stream.closed) cutOffWhenSilent(wire, this.#door.limits.idleMs);
        },
        failed(error) {
          reportBug(error);
          wire.terminate();
        },
      },
    );
  }

  #receivePriority({ streamId, payload }: Frame): void {
    if (dependency(payload) === streamId)
      throw new Http2Error(errorCode.protocol, "a stream that depends on itself", streamId);
  }

  #receiveReset({ streamId }: Frame): void {
    const stream = this.#openStream(streamId);
    // Opening and resetting again and again costs the client nothing, and a dyno much.
    this.#strain(weight.reset);
    if (stream === undefined) return;
    this.#forget(stream);
    stream.lose();
  }

  /** A stream that is open; nothing for one that was. */
  #openStream(streamId: number): Http2Stream | undefined {
    if (streamId > this.#lastStreamId || streamId % 2 === 0)
      throw new Http2Error(errorCode.protocol, "a stream that nobody opened");
    return this.#streams.get(streamId);
  }

  #receiveSettings(frame: Frame): void {
    const settings = readSettings(frame);
    if (frame.flags & flag.ack) return;
    this.#settingsAreRead = true;
    const window = settings.get(setting.initialWindowSize) ?? this.#initialSendWindow;
    const change = window - this.#initialSendWindow;
    this.#initialSendWindow = window;
    for (const stream of this.#streams.values()) {
      if (stream.sendWindow + change > greatestWindow)
        throw new Http2Error(errorCode.flowControl, "window too large");
      stream.sendWindow += change;
    }
    this.sender.acknowledgeSettings();
    this.sender.resume();
  }

  #receiveWindowUpdate({ streamId, payload }: Frame): void {
    const increment = payload.readUInt32BE(0) & 0x7fff_ffff;
    const stream = streamId === 0 ? undefined : this.#openStream(streamId);
    if (increment === 0)
      throw new Http2Error(errorCode.protocol, "no increment", streamId || undefined);
    if (streamId === 0 || stream !== undefined) this.sender.receiveWindowUpdate(increment, stream);
  }

  giveBack(stream: Http2Stream, bytes: number): void {
    this.sender.widen(0, this.#receiveWindow.take(bytes));
    const widened = stream.receiveWindow.take(bytes);
    if (!stream.remoteEnded && !stream.closed) this.sender.widen(stream.id, widened);
  }

  answered(stream: Http2Stream): void {
    this.#patience.relieve(weight.request);
    if (stream.remoteEnded) return this.#forget(stream);
    // The rest of a request that was answered early is not wanted any more.
    if (!stream.isTunnel) this.reset(stream, errorCode.none);
  }

  reset(stream: Http2Stream, code: ErrorCode): void {
    this.#sendReset(stream.id, code);
    this.#forget(stream);
  }

  #sendReset(streamId: number, code: ErrorCode): void {
    this.#endedByUs.add(streamId);
    if (this.#endedByUs.size > maxRemembered)
      for (const oldest of this.#endedByUs) {
        this.#endedByUs.delete(oldest);
        break;
      }
    this.sender.reset(streamId, code);
  }

  #forget(stream: Http2Stream): void {
    stream.closed = true;
    stream.wire.watchdog.close();
    this.sender.forget(stream);
    if (!this.#streams.delete(stream.id)) return;
    // What it held of the connection's window is the connection's again.
    stream.resume();
    if (stream.isTunnel) stream.wire.handleClose();
    if (this.#streams.size > 0) return;
    this.#owingSinceMs = performance.now();
    this.#client.isAsking = false;
  }
}
