import { answerBadRequest, type Client, type Door } from "./exchange.ts";
import { encodeFields, HpackDecoder, HpackError, type Field } from "./hpack.ts";
import {
  errorCode,
  flag,
  frameHead,
  frameType,
  greatestWindow,
  headerFrames,
  Http2Error,
  maxFrameBytes,
  numbersFrame,
  preface,
  readFrame,
  setting,
  settingsFrame,
  withoutPadding,
  type ErrorCode,
  type Frame,
} from "./http2-frames.ts";
import { readHttp2Request } from "./http2-request.ts";
import { Http2Stream, type StreamPort } from "./http2-stream.ts";
import { serveRequest } from "./proxy.ts";

const maxStreams = 100;
const streamWindow = 256 * 1_024;
const connectionWindow = 1_024 * 1_024;
/** The window is given back in pieces of this size, not byte by byte. */
const giveBackBytes = 32 * 1_024;
const maxHeaderBytes = 128 * 1_024;
/** Frames that bring nothing forward, beyond those that come with real ones: floods of all kinds. */
const maxIdleFrames = 1_000;
const maxRemembered = 200;
const emptyBuffer = Buffer.alloc(0);

/**
 * HTTP/2 to a client (RFC 9113), on a wire whose TLS handshake has chosen it. Each stream becomes a
 * request like those of HTTP/1.1; to the dynos nothing is different.
 */
export async function serveHttp2(client: Client, door: Door): Promise<void> {
  const { wire } = client;
  const connection = new Http2Connection(client, door);
  client.onStopping = () => connection.goAway(errorCode.none);
  connection.begin();
  try {
    for (let bytes = await wire.read(); bytes !== null; bytes = await wire.read()) {
      connection.receive(bytes);
      if (connection.isOver) break;
      // Whoever does not read what we say is not heard either.
      const room = wire.room();
      if (room !== undefined) {
        await room;
        connection.drained();
      }
    }
  } catch (error) {
    if (!(error instanceof Http2Error)) throw error;
    connection.goAway(error.code);
  } finally {
    connection.lose();
    wire.close(door.limits.lastWordMs);
  }
}

class Http2Connection implements StreamPort {
  readonly #client: Client;
  readonly #door: Door;
  readonly #decoder = new HpackDecoder();
  readonly #streams = new Map<number, Http2Stream>();
  /** Streams that we ended early: what is still on its way to them is nobody's fault. */
  readonly #endedByUs = new Set<number>();
  #pending: Buffer = preface.subarray(0, 0);
  #prefaceIsRead = false;
  #block: { streamId: number; endStream: boolean; parts: Buffer[]; bytes: number } | undefined;
  #lastStreamId = 0;
  #sendWindow = 65_535;
  #receiveWindow = connectionWindow;
  #unreturned = 0;
  #initialSendWindow = 65_535;
  #idleFrames = 0;
  #idleSinceMs = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #settingsSeen = false;
  #waitsForDrain = false;
  /** No more streams; over when the last has ended. */
  #goingAway = false;

  constructor(client: Client, door: Door) {
    this.#client = client;
    this.#door = door;
  }

  get isOver(): boolean {
    return this.#goingAway && this.#streams.size === 0;
  }

  begin(): void {
    this.#client.wire.write(
      settingsFrame([
        [setting.maxConcurrentStreams, maxStreams],
        [setting.initialWindowSize, streamWindow],
        [setting.maxHeaderListSize, maxHeaderBytes],
        [setting.enableConnectProtocol, 1],
      ]),
    );
    this.#client.wire.write(numbersFrame(frameType.windowUpdate, 0, [connectionWindow - 65_535]));
    this.#watchIdleness();
  }

  /** Ends the connection when nothing was asked for long, or a header block does not come to its end. */
  #watchIdleness(): void {
    const { keepAliveMs, headMs } = this.#door.limits;
    const limitMs = this.#block === undefined ? keepAliveMs : headMs;
    const check = () => {
      const isIdle = this.#streams.size === 0 || this.#block !== undefined;
      const leftMs = isIdle ? this.#idleSinceMs + limitMs - performance.now() : limitMs;
      if (leftMs > 0) this.#timer = setTimeout(check, Math.ceil(leftMs));
      else {
        this.goAway(errorCode.none);
        this.#client.wire.close(this.#door.limits.lastWordMs);
      }
    };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(check, limitMs);
  }

  goAway(code: ErrorCode): void {
    if (this.#goingAway && code === errorCode.none) return;
    this.#goingAway = true;
    this.#client.wire.write(numbersFrame(frameType.goAway, 0, [this.#lastStreamId, code]));
  }

  /** The connection is gone, and all that was under way with it. */
  lose(): void {
    clearTimeout(this.#timer);
    for (const stream of this.#streams.values()) stream.receiveLoss();
    this.#streams.clear();
  }

  receive(bytes: Buffer): void {
    let all = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (!this.#prefaceIsRead) {
      const length = Math.min(all.length, preface.length);
      if (!all.subarray(0, length).equals(preface.subarray(0, length)))
        throw new Http2Error(errorCode.protocol, "no preface");
      this.#prefaceIsRead = all.length >= preface.length;
      all = this.#prefaceIsRead ? all.subarray(preface.length) : all;
    }
    let at = 0;
    while (this.#prefaceIsRead) {
      const frame = readFrame(all, at);
      if (frame === undefined) break;
      at += 9 + frame.payload.length;
      this.#receiveFrame(frame);
    }
    this.#pending = at === all.length ? emptyBuffer : all.subarray(at);
  }

  #receiveFrame(frame: Frame): void {
    try {
      this.#dispatch(frame);
    } catch (error) {
      if (!(error instanceof Http2Error) || error.streamId === undefined) throw error;
      this.#countIdle();
      const stream = this.#streams.get(error.streamId);
      if (stream !== undefined) {
        this.reset(stream, error.code);
        stream.receiveLoss();
      } else this.#sendReset(error.streamId, error.code);
    }
  }

  #dispatch(frame: Frame): void {
    if (!this.#settingsSeen && frame.type !== frameType.settings)
      throw new Http2Error(errorCode.protocol, "no settings first");
    if (this.#block !== undefined && frame.type !== frameType.continuation)
      throw new Http2Error(errorCode.protocol, "a frame inside a header block");
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
        return this.#receivePing(frame);
      case frameType.goAway:
        if (frame.streamId !== 0) throw new Http2Error(errorCode.protocol, "GOAWAY on a stream");
        return this.goAway(errorCode.none);
      case frameType.windowUpdate:
        return this.#receiveWindowUpdate(frame);
      case frameType.pushPromise:
        throw new Http2Error(errorCode.protocol, "a client does not push");
      default:
        return this.#countIdle();
    }
  }

  #countIdle(): void {
    if (++this.#idleFrames > maxIdleFrames)
      throw new Http2Error(errorCode.enhanceYourCalm, "too many frames that say nothing");
  }

  #receiveData(frame: Frame): void {
    const { streamId, flags } = frame;
    const stream = this.#openStream(streamId);
    this.#receiveWindow -= frame.payload.length;
    if (this.#receiveWindow < 0) throw new Http2Error(errorCode.flowControl, "window exceeded");
    const bytes = withoutPadding(frame);
    const padding = frame.payload.length - bytes.length;
    if (stream === undefined || stream.remoteEnded) {
      this.#giveBackToConnection(frame.payload.length);
      if (stream === undefined && this.#endedByUs.has(streamId)) return;
      throw new Http2Error(errorCode.streamClosed, "data after the end", streamId);
    }
    stream.receiveWindow -= frame.payload.length;
    if (stream.receiveWindow < 0)
      throw new Http2Error(errorCode.flowControl, "window exceeded", streamId);
    if (bytes.length === 0 && !(flags & flag.endStream)) this.#countIdle();
    else this.#idleFrames = Math.max(0, this.#idleFrames - 1);
    if (padding > 0) this.giveBack(stream, padding);
    if (bytes.length > 0) stream.receive(bytes);
    if (flags & flag.endStream) this.#endOfUpload(stream);
    else this.#checkLength(stream, false);
  }

  #checkLength({ id, expectedBytes, receivedBytes }: Http2Stream, isWhole: boolean): void {
    if (expectedBytes === undefined) return;
    if (receivedBytes > expectedBytes || (isWhole && receivedBytes < expectedBytes))
      throw new Http2Error(errorCode.protocol, "not as long as it said", id);
  }

  #endOfUpload(stream: Http2Stream): void {
    this.#checkLength(stream, true);
    stream.receiveEnd();
    this.#forgetIfDone(stream);
  }

  #receiveHeaders(frame: Frame): void {
    const { streamId, flags } = frame;
    if (streamId % 2 === 0) throw new Http2Error(errorCode.protocol, "not a client's stream");
    let bytes = withoutPadding(frame);
    if (flags & flag.priority) {
      if (bytes.length < 5) throw new Http2Error(errorCode.frameSize, "priority too short");
      const dependsOn = bytes.readUInt32BE(0) & 0x7fff_ffff;
      if (dependsOn === streamId)
        throw new Http2Error(errorCode.protocol, "a stream that depends on itself");
      bytes = bytes.subarray(5);
    }
    const endStream = (flags & flag.endStream) !== 0;
    this.#block = { streamId, endStream, parts: [bytes], bytes: bytes.length };
    this.#idleSinceMs = performance.now();
    if (flags & flag.endHeaders) this.#endOfBlock();
    else this.#watchIdleness();
  }

  #receiveContinuation({ streamId, flags, payload }: Frame): void {
    const block = this.#block;
    if (block === undefined || block.streamId !== streamId)
      throw new Http2Error(errorCode.protocol, "nothing to continue");
    this.#countIdle();
    block.parts.push(payload);
    block.bytes += payload.length;
    if (block.bytes > maxHeaderBytes)
      throw new Http2Error(errorCode.enhanceYourCalm, "headers too long");
    if (!(flags & flag.endHeaders)) return;
    this.#endOfBlock();
    this.#watchIdleness();
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
    if (this.#goingAway || this.#streams.size >= maxStreams)
      throw new Http2Error(errorCode.refusedStream, "no more streams", streamId);
    this.#openRequest(streamId, fields, endStream);
  }

  #decode(block: Buffer): Field[] {
    try {
      return this.#decoder.decode(block, maxHeaderBytes);
    } catch (error) {
      if (!(error instanceof HpackError)) throw error;
      throw new Http2Error(errorCode.compression, error.message);
    }
  }

  #receiveTrailers(stream: Http2Stream, fields: Field[], endStream: boolean): void {
    if (stream.remoteEnded)
      throw new Http2Error(errorCode.streamClosed, "headers after the end", stream.id);
    if (!endStream || fields.some(([name]) => !/^[^:A-Z\s]+$/.test(name)))
      throw new Http2Error(errorCode.protocol, "these are no trailers", stream.id);
    stream.receivedTrailers = fields.map(([name, value]) => ({ name, key: name, value }));
    this.#endOfUpload(stream);
  }

  #openRequest(streamId: number, fields: Field[], endsHere: boolean): void {
    const head = readHttp2Request(fields, { endsHere });
    if (head === "malformed")
      throw new Http2Error(errorCode.protocol, "malformed request", streamId);
    const stream = new Http2Stream(streamId, this, {
      send: this.#initialSendWindow,
      receive: streamWindow,
    });
    this.#streams.set(streamId, stream);
    this.#client.isAsking = true;
    stream.remoteEnded = endsHere;
    if (head === "bad") return answerBadRequest(stream.writer);
    stream.isTunnel = head.upgrade;
    stream.expectedBytes = head.body.kind === "length" ? head.body.bytes : undefined;
    const { address, tlsVersion, isMisdirected } = this.#client;
    serveRequest({
      client: { wire: stream.wire, address, tlsVersion, isMisdirected },
      ...{ head, door: this.#door, upload: stream.upload, writer: stream.writer },
    }).then(
      (afterwards) => {
        if (afterwards === "gone" && !stream.isTunnel) stream.wire.terminate();
      },
      () => stream.wire.terminate(),
    );
  }

  #receivePriority({ streamId, payload }: Frame): void {
    if (streamId === 0) throw new Http2Error(errorCode.protocol, "PRIORITY of no stream");
    if (payload.length !== 5)
      throw new Http2Error(errorCode.frameSize, "PRIORITY has five bytes", streamId);
    this.#countIdle();
    if ((payload.readUInt32BE(0) & 0x7fff_ffff) === streamId)
      throw new Http2Error(errorCode.protocol, "a stream that depends on itself", streamId);
  }

  #receiveReset({ streamId, payload }: Frame): void {
    if (payload.length !== 4)
      throw new Http2Error(errorCode.frameSize, "RST_STREAM has four bytes");
    const stream = this.#openStream(streamId);
    // Opening and resetting again and again costs the client nothing, and a dyno much.
    this.#countIdle();
    if (stream === undefined) return;
    this.#forget(stream);
    stream.receiveLoss();
  }

  /** A stream that is open; nothing for one that was. */
  #openStream(streamId: number): Http2Stream | undefined {
    if (streamId === 0 || streamId > this.#lastStreamId || streamId % 2 === 0)
      throw new Http2Error(errorCode.protocol, "a stream that nobody opened");
    return this.#streams.get(streamId);
  }

  #receiveSettings({ streamId, flags, payload }: Frame): void {
    if (streamId !== 0) throw new Http2Error(errorCode.protocol, "SETTINGS on a stream");
    const isAck = (flags & flag.ack) !== 0;
    if (isAck ? payload.length > 0 : payload.length % 6 !== 0)
      throw new Http2Error(errorCode.frameSize, "SETTINGS of odd size");
    if (isAck) return;
    this.#settingsSeen = true;
    this.#countIdle();
    for (let at = 0; at < payload.length; at += 6)
      this.#applySetting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    this.#client.wire.write(frameHead(frameType.settings, flag.ack, 0, 0));
  }

  #applySetting(id: number, value: number): void {
    if (id === setting.enablePush && value > 1)
      throw new Http2Error(errorCode.protocol, "bad ENABLE_PUSH");
    if (id === setting.maxFrameSize && (value < maxFrameBytes || value > 2 ** 24 - 1))
      throw new Http2Error(errorCode.protocol, "bad MAX_FRAME_SIZE");
    if (id !== setting.initialWindowSize) return;
    if (value > greatestWindow) throw new Http2Error(errorCode.flowControl, "window too large");
    const change = value - this.#initialSendWindow;
    this.#initialSendWindow = value;
    for (const stream of this.#streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > greatestWindow)
        throw new Http2Error(errorCode.flowControl, "window too large");
      if (change > 0) stream.drained();
    }
  }

  #receivePing({ streamId, flags, payload }: Frame): void {
    if (streamId !== 0) throw new Http2Error(errorCode.protocol, "PING on a stream");
    if (payload.length !== 8) throw new Http2Error(errorCode.frameSize, "PING has eight bytes");
    if (flags & flag.ack) return;
    this.#countIdle();
    this.#client.wire.write(Buffer.concat([frameHead(frameType.ping, flag.ack, 0, 8), payload]));
  }

  #receiveWindowUpdate({ streamId, payload }: Frame): void {
    if (payload.length !== 4)
      throw new Http2Error(errorCode.frameSize, "WINDOW_UPDATE has four bytes");
    const increment = payload.readUInt32BE(0) & 0x7fff_ffff;
    const stream = streamId === 0 ? undefined : this.#openStream(streamId);
    if (increment === 0)
      throw new Http2Error(errorCode.protocol, "no increment", streamId || undefined);
    this.#countIdle();
    if (streamId === 0) {
      this.#sendWindow += increment;
      if (this.#sendWindow > greatestWindow)
        throw new Http2Error(errorCode.flowControl, "window too large");
      return this.drained();
    }
    if (stream === undefined) return;
    stream.sendWindow += increment;
    if (stream.sendWindow > greatestWindow)
      throw new Http2Error(errorCode.flowControl, "window too large", streamId);
    stream.drained();
  }

  /** There is room again, in the socket or in the connection's window: all streams take their turn. */
  drained(): void {
    for (const stream of this.#streams.values()) stream.drained();
  }

  sendHeaders(streamId: number, fields: readonly Field[], endStream: boolean): void {
    this.#client.wire.write(headerFrames(streamId, encodeFields(fields), endStream));
  }

  sendData(stream: Http2Stream, bytes: Uint8Array): number {
    if (this.isBlocked()) {
      this.#drainLater();
      return 0;
    }
    const taken = Math.max(0, Math.min(bytes.length, stream.sendWindow, this.#sendWindow));
    for (let at = 0; at < taken; at += maxFrameBytes) {
      const length = Math.min(maxFrameBytes, taken - at);
      this.#client.wire.write(frameHead(frameType.data, 0, stream.id, length));
      this.#client.wire.write(bytes.subarray(at, at + length) as Buffer);
    }
    stream.sendWindow -= taken;
    this.#sendWindow -= taken;
    if (taken > 0) this.#idleFrames = Math.max(0, this.#idleFrames - 2);
    if (this.isBlocked()) this.#drainLater();
    return taken;
  }

  isBlocked(): boolean {
    return !this.#client.wire.hasRoom;
  }

  /** The reading loop may be waiting for the client: what can be sent must not wait for that. */
  #drainLater(): void {
    if (this.#waitsForDrain) return;
    this.#waitsForDrain = true;
    void (this.#client.wire.room() ?? Promise.resolve()).then(() => {
      this.#waitsForDrain = false;
      this.drained();
    });
  }

  endData(stream: Http2Stream): void {
    if (stream.trailers.length > 0) {
      const fields = stream.trailers.map(({ key, value }): Field => [key, value]);
      this.sendHeaders(stream.id, fields, true);
    } else if (!stream.localEnded && !stream.headEndedIt)
      this.#client.wire.write(frameHead(frameType.data, flag.endStream, stream.id, 0));
    stream.localEnded = true;
    this.#forgetIfDone(stream);
    // The rest of a request that was answered early is not wanted any more.
    if (!stream.remoteEnded && !stream.isTunnel) this.reset(stream, errorCode.none);
  }

  reset(stream: Http2Stream, code: ErrorCode): void {
    this.#sendReset(stream.id, code);
    stream.closed = true;
    this.#forget(stream);
  }

  #sendReset(streamId: number, code: ErrorCode): void {
    this.#endedByUs.add(streamId);
    if (this.#endedByUs.size > maxRemembered) {
      const [oldest] = this.#endedByUs;
      this.#endedByUs.delete(oldest!);
    }
    this.#client.wire.write(numbersFrame(frameType.reset, streamId, [code]));
  }

  giveBack(stream: Http2Stream, bytes: number): void {
    this.#giveBackToConnection(bytes);
    stream.unreturned += bytes;
    if (stream.unreturned < giveBackBytes || stream.remoteEnded || stream.closed) return;
    this.#client.wire.write(numbersFrame(frameType.windowUpdate, stream.id, [stream.unreturned]));
    stream.receiveWindow += stream.unreturned;
    stream.unreturned = 0;
  }

  #giveBackToConnection(bytes: number): void {
    this.#unreturned += bytes;
    if (this.#unreturned < giveBackBytes) return;
    this.#client.wire.write(numbersFrame(frameType.windowUpdate, 0, [this.#unreturned]));
    this.#receiveWindow += this.#unreturned;
    this.#unreturned = 0;
  }

  #forgetIfDone(stream: Http2Stream): void {
    if (!stream.remoteEnded || !stream.localEnded) return;
    stream.closed = true;
    // A request that was served counts for those frames that came with it.
    this.#idleFrames = Math.max(0, this.#idleFrames - 10);
    this.#forget(stream);
  }

  #forget(stream: Http2Stream): void {
    // What it held of the connection's window is the connection's again.
    if (this.#streams.delete(stream.id)) stream.resume();
    if (this.#streams.size > 0) return;
    this.#idleSinceMs = performance.now();
    this.#client.isAsking = false;
    if (this.#goingAway) this.#client.wire.close(this.#door.limits.lastWordMs);
  }
}
