/** The frames of HTTP/2 (RFC 9113 §4, §6). */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const errorCode = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

export type ErrorCode = (typeof errorCode)[keyof typeof errorCode];

export const setting = {
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

/** Everybody takes frames of this size; we neither take nor send larger ones. */
export const maxFrameBytes = 16_384;
const frameHeadBytes = 9;
export const firstWindow = 65_535;
export const greatestWindow = 2 ** 31 - 1;
export const greatestStreamId = 2 ** 31 - 1;
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export interface Frame {
  type: number;
  flags: number;
  streamId: number;
  payload: Buffer;
}

/** What ends the whole connection, or, with a stream's id, that stream only. */
export class Http2Error extends Error {
  readonly code: ErrorCode;
  readonly streamId: number | undefined;

  constructor(code: ErrorCode, message: string, streamId?: number) {
    super(message);
    this.code = code;
    this.streamId = streamId;
  }
}

/** The frame at a place of the bytes, and what follows it; nothing while it is not there as a whole. */
export function readFrame(bytes: Buffer, at: number): { frame: Frame; end: number } | undefined {
  if (bytes.length - at < frameHeadBytes) return undefined;
  const length = bytes.readUIntBE(at, 3);
  if (length > maxFrameBytes) throw new Http2Error(errorCode.frameSize, "frame too large");
  const start = at + frameHeadBytes;
  const end = start + length;
  if (bytes.length < end) return undefined;
  const frame = {
    type: bytes[at + 3]!,
    flags: bytes[at + 4]!,
    streamId: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
    payload: bytes.subarray(start, end),
  };
  checkShape(frame);
  return { frame, end };
}

/** Which frames speak of a stream, which of the connection, and how long those of one length are. */
const shapes: Record<number, { on?: "stream" | "connection"; bytes?: number }> = {
  [frameType.data]: { on: "stream" },
  [frameType.headers]: { on: "stream" },
  [frameType.priority]: { on: "stream", bytes: 5 },
  [frameType.reset]: { on: "stream", bytes: 4 },
  [frameType.settings]: { on: "connection" },
  [frameType.ping]: { on: "connection", bytes: 8 },
  [frameType.goAway]: { on: "connection" },
  [frameType.windowUpdate]: { bytes: 4 },
  [frameType.continuation]: { on: "stream" },
};

function checkShape({ type, streamId, payload }: Frame): void {
  const shape = shapes[type];
  if (shape?.on !== undefined && (streamId === 0) !== (shape.on === "connection"))
    throw new Http2Error(errorCode.protocol, `frame ${type} on stream ${streamId}`);
  if (shape?.bytes !== undefined && payload.length !== shape.bytes)
    throw new Http2Error(errorCode.frameSize, `frame ${type} of ${payload.length} bytes`);
}

/** The head of a frame. */
export function frameHead(
  type: number,
  flags: number,
  streamId: number,
  payloadBytes: number,
): Buffer {
  const head = Buffer.allocUnsafe(frameHeadBytes);
  head.writeUIntBE(payloadBytes, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return head;
}

/** A frame of 32-bit numbers: RST_STREAM, WINDOW_UPDATE, GOAWAY. */
export function numbersFrame(type: number, streamId: number, numbers: number[]): Buffer {
  const payload = Buffer.allocUnsafe(4 * numbers.length);
  for (const [index, number] of numbers.entries()) payload.writeUInt32BE(number, 4 * index);
  return Buffer.concat([frameHead(type, 0, streamId, payload.length), payload]);
}

/** A SETTINGS frame. */
export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.allocUnsafe(6 * settings.length);
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return Buffer.concat([frameHead(frameType.settings, 0, 0, payload.length), payload]);
}

/** What a SETTINGS frame says; the last word about each setting counts. */
export function readSettings({ flags, payload }: Frame): Map<number, number> {
  if (flags & flag.ack ? payload.length > 0 : payload.length % 6 !== 0)
    throw new Http2Error(errorCode.frameSize, "SETTINGS of odd size");
  const settings = new Map<number, number>();
  for (let at = 0; at < payload.length; at += 6) {
    const [id, value] = [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)];
    if (id === setting.enablePush && value > 1)
      throw new Http2Error(errorCode.protocol, "bad ENABLE_PUSH");
    if (id === setting.maxFrameSize && (value < maxFrameBytes || value > greatestFrameBytes))
      throw new Http2Error(errorCode.protocol, "bad MAX_FRAME_SIZE");
    if (id === setting.initialWindowSize && value > greatestWindow)
      throw new Http2Error(errorCode.flowControl, "window too large");
    settings.set(id, value);
  }
  return settings;
}

const greatestFrameBytes = 2 ** 24 - 1;

/** A header block as one HEADERS frame, or with as many CONTINUATION as it needs. */
export function headerFrames(streamId: number, block: Buffer, endStream: boolean): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += maxFrameBytes) {
    const part = block.subarray(at, at + maxFrameBytes);
    const type = at === 0 ? frameType.headers : frameType.continuation;
    const isLast = at + maxFrameBytes >= block.length;
    const flags = (at === 0 && endStream ? flag.endStream : 0) | (isLast ? flag.endHeaders : 0);
    parts.push(frameHead(type, flags, streamId, part.length), part);
  }
  return parts;
}

/** The header block of a HEADERS frame, without padding and priority. */
export function readHeaderBlock(frame: Frame): Buffer {
  const bytes = withoutPadding(frame);
  if (!(frame.flags & flag.priority)) return bytes;
  if (bytes.length < 5) throw new Http2Error(errorCode.frameSize, "priority too short");
  if (dependency(bytes) === frame.streamId)
    throw new Http2Error(errorCode.protocol, "a stream that depends on itself");
  return bytes.subarray(5);
}

/** The stream that priority makes another wait for; we keep no such order. */
export function dependency(priority: Buffer): number {
  return priority.readUInt32BE(0) & 0x7fff_ffff;
}

/** What is in a frame between its padding; throws when the padding is longer than the frame. */
export function withoutPadding({ flags, payload }: Frame): Buffer {
  if (!(flags & flag.padded)) return payload;
  const padding = payload[0];
  if (padding === undefined || padding >= payload.length)
    throw new Http2Error(errorCode.protocol, "padding too long");
  return payload.subarray(1, payload.length - padding);
}
