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
export const frameHeadBytes = 9;
export const greatestWindow = 2 ** 31 - 1;
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

/** The frame at a place of the bytes, if it is there as a whole. */
export function readFrame(bytes: Buffer, at: number): Frame | undefined {
  if (bytes.length - at < frameHeadBytes) return undefined;
  const length = bytes.readUIntBE(at, 3);
  if (length > maxFrameBytes) throw new Http2Error(errorCode.frameSize, "frame too large");
  const start = at + frameHeadBytes;
  if (bytes.length < start + length) return undefined;
  return {
    type: bytes[at + 3]!,
    flags: bytes[at + 4]!,
    streamId: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
    payload: bytes.subarray(start, start + length),
  };
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

/** A header block as one HEADERS frame, or with as many CONTINUATION as it needs. */
export function headerFrames(streamId: number, block: Buffer, endStream: boolean): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  do {
    const part = block.subarray(at, at + maxFrameBytes);
    const isFirst = at === 0;
    at += part.length;
    const flags =
      (isFirst && endStream ? flag.endStream : 0) | (at >= block.length ? flag.endHeaders : 0);
    const type = isFirst ? frameType.headers : frameType.continuation;
    parts.push(frameHead(type, flags, streamId, part.length), part);
  } while (at < block.length);
  return Buffer.concat(parts);
}

/** What is in a frame between its padding; throws when the padding is longer than the frame. */
export function withoutPadding({ flags, payload }: Frame): Buffer {
  if (!(flags & flag.padded)) return payload;
  const padding = payload[0];
  if (padding === undefined || padding >= payload.length)
    throw new Http2Error(errorCode.protocol, "padding too long");
  return payload.subarray(1, payload.length - padding);
}
