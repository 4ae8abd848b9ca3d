import type { TLSSocket } from "node:tls";
import { encodeFields, HpackDecoder, type Field } from "../../src/router/hpack.ts";
import {
  flag,
  frameHead,
  frameType,
  headerFrames,
  numbersFrame,
  preface,
  readFrame,
  readSettings,
  setting,
  settingsFrame,
  type Frame,
} from "../../src/router/http2-frames.ts";
import type { RouterLimits } from "../../src/router/limits.ts";
import type { RouteAppRecord, RouteCertificate } from "../../src/router/route-table.ts";
import { demoTable, type FakeDyno, type TestRouter } from "./router-fixture.ts";
import { openTls, startTlsRouter } from "./tls-fixture.ts";

/** What came back on a stream, as far as it has come. */
export interface Http2Answer {
  /** Of each header block: those of hints, of the response, of the trailers. */
  blocks: Record<string, string>[];
  body: Buffer;
  /** Of the body, kept or not. */
  bytes: number;
  ended: boolean;
  /** The code of a RST_STREAM. */
  reset?: number;
}

export interface Http2Client {
  socket: TLSSocket;
  /** All frames that came, but for what the connection says of itself at the start. */
  frames: Frame[];
  send(...bytes: Buffer[]): void;
  /** Opens a stream; returns its number. */
  ask(fields: readonly Field[], options?: { endStream?: boolean }): number;
  /** The trailers of a request. */
  trailers(streamId: number, fields: readonly Field[]): void;
  data(streamId: number, bytes: string | Buffer, options?: { endStream?: boolean }): void;
  reset(streamId: number): void;
  /** How much may be sent on a stream, as far as the other side has said. */
  roomFor(streamId: number): number;
  answer(streamId: number): Http2Answer;
  /** The answer, once it is whole or was reset. */
  whole(streamId: number): Promise<Http2Answer>;
  until(what: string, condition: () => boolean): Promise<void>;
  /** The code of the GOAWAY with which the other side closed the connection. */
  goneWith(): Promise<number | undefined>;
  closed: boolean;
  leave(): void;
  [Symbol.dispose](): void;
}

export interface Http2ClientOptions {
  settings?: [id: number, value: number][];
  /** Says nothing by itself, not even its preface. */
  silent?: boolean;
  /** What is received is not given back to the other side's windows. */
  keepWindows?: boolean;
  /** Of bodies that come only their length is kept, of frames with data nothing. */
  forgetData?: boolean;
}

/** A client of HTTP/2 that says and hears frames. */
export async function openHttp2(
  port: number,
  options: Http2ClientOptions = {},
): Promise<Http2Client> {
  const socket = await openTls(port, { ALPNProtocols: ["h2"] });
  if (socket.alpnProtocol !== "h2") throw new Error(`ALPN chose ${socket.alpnProtocol}`);
  const decoder = new HpackDecoder();
  const answers = new Map<number, Http2Answer>();
  const frames: Frame[] = [];
  let pending: Buffer = Buffer.alloc(0);
  let block: Buffer[] = [];
  let lastStreamId = -1;
  let firstWindow = 65_535;
  /** By how much the windows differ from what they were at first. */
  const widened = new Map<number, number>();
  let wake = () => {};

  function answerOf(streamId: number): Http2Answer {
    const known = answers.get(streamId);
    if (known !== undefined) return known;
    const answer = { blocks: [], body: Buffer.alloc(0), bytes: 0, ended: false };
    answers.set(streamId, answer);
    return answer;
  }

  function widen(streamId: number, bytes: number): void {
    widened.set(streamId, (widened.get(streamId) ?? 0) + bytes);
  }

  function take(frame: Frame): void {
    const { type, flags, streamId, payload } = frame;
    const answer = answerOf(streamId);
    const forget = options.forgetData === true && answer.bytes > 1_000;
    if (!forget || type !== frameType.data) frames.push(frame);
    if (type === frameType.windowUpdate) widen(streamId, payload.readUInt32BE(0));
    if (type === frameType.settings)
      firstWindow = readSettings(frame).get(setting.initialWindowSize) ?? firstWindow;
    if (type === frameType.data) {
      answer.bytes += payload.length;
      if (!forget) answer.body = Buffer.concat([answer.body, payload]);
      if (payload.length > 0 && options.keepWindows !== true)
        client.send(
          numbersFrame(frameType.windowUpdate, 0, [payload.length]),
          numbersFrame(frameType.windowUpdate, streamId, [payload.length]),
        );
    }
    if (type === frameType.headers || type === frameType.continuation) {
      block.push(payload);
      if (flags & flag.endHeaders) {
        const fields = decoder.decode(Buffer.concat(block), 2 ** 24);
        if (fields === "too long") throw new Error("A header block is too long");
        answer.blocks.push(Object.fromEntries(fields));
        block = [];
      }
    }
    if (type === frameType.reset) answer.reset = payload.readUInt32BE(0);
    if (type === frameType.settings && !(flags & flag.ack) && options.silent !== true)
      client.send(frameHead(frameType.settings, flag.ack, 0, 0));
    if ((type === frameType.data || type === frameType.headers) && flags & flag.endStream)
      answer.ended = true;
  }

  socket.on("data", (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes]);
    let at = 0;
    for (let next = readFrame(pending, at); next !== undefined; next = readFrame(pending, at)) {
      at = next.end;
      take(next.frame);
    }
    pending = pending.subarray(at);
    wake();
  });
  socket.on("error", () => {});
  socket.on("end", () => socket.destroy());
  socket.on("close", () => {
    client.closed = true;
    wake();
  });

  const client: Http2Client = {
    socket,
    frames,
    closed: false,
    send: (...bytes) => void (client.closed || socket.write(Buffer.concat(bytes))),
    ask(fields, { endStream = true } = {}) {
      lastStreamId += 2;
      client.send(...headerFrames(lastStreamId, encodeFields(fields), endStream));
      return lastStreamId;
    },
    trailers: (streamId, fields) =>
      client.send(...headerFrames(streamId, encodeFields(fields), true)),
    data(streamId, bytes, { endStream = false } = {}) {
      const payload = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
      const flags = endStream ? flag.endStream : 0;
      widen(streamId, -payload.length);
      widen(0, -payload.length);
      client.send(frameHead(frameType.data, flags, streamId, payload.length), payload);
    },
    reset: (streamId) => client.send(numbersFrame(frameType.reset, streamId, [8])),
    roomFor: (streamId) =>
      Math.min(65_535 + (widened.get(0) ?? 0), firstWindow + (widened.get(streamId) ?? 0)),
    answer: answerOf,
    async whole(streamId) {
      const answer = answerOf(streamId);
      await client.until(
        `stream ${streamId} ends`,
        () => answer.ended || answer.reset !== undefined || client.closed,
      );
      return answer;
    },
    async until(what, condition) {
      const untilMs = performance.now() + 30_000;
      while (!condition()) {
        if (performance.now() > untilMs)
          throw new Error(`Waited in vain until ${what}; frames: ${describeFrames(frames)}`);
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), Bun.sleep(20)]);
      }
    },
    async goneWith() {
      await client.until("the connection ends", () => client.closed);
      return frames.findLast(({ type }) => type === frameType.goAway)?.payload.readUInt32BE(4);
    },
    leave: () => socket.destroy(),
    [Symbol.dispose]: () => socket.destroy(),
  };
  if (options.silent === true) return client;
  client.send(preface, settingsFrame(options.settings ?? []));
  await client.until("settings are exchanged", () => frames.some(isAcknowledgement));
  return client;
}

function isAcknowledgement({ type, flags }: Frame): boolean {
  return type === frameType.settings && (flags & flag.ack) !== 0;
}

function describeFrames(frames: readonly Frame[]): string {
  return frames
    .slice(-20)
    .map(({ type, flags, streamId, payload }) => `${type}/${flags}@${streamId}:${payload.length}`)
    .join(" ");
}

export interface Http2Router extends AsyncDisposable {
  certificate: RouteCertificate;
  router: TestRouter;
  /** Routes demo.test to an app with these dynos. */
  route(dynos: FakeDyno[], app?: Partial<RouteAppRecord>): Promise<void>;
  open(options?: Http2ClientOptions): Promise<Http2Client>;
}

/** A test router with a certificate for demo.test and other.test, for clients of HTTP/2. */
export async function startHttp2Router(
  options: { limits?: Partial<RouterLimits> } = {},
): Promise<Http2Router> {
  const { router, certificate } = await startTlsRouter(options);
  return {
    router,
    certificate,
    async route(dynos, app) {
      await router.put({ ...demoTable(dynos, app), certificates: [certificate] });
    },
    open: (clientOptions) => openHttp2(router.httpsPort!, clientOptions),
    [Symbol.asyncDispose]: () => router[Symbol.asyncDispose](),
  };
}

/** The fields of a request for demo.test. */
export function fieldsOf(method: string, path: string, ...others: Field[]): Field[] {
  return [
    [":method", method],
    [":scheme", "https"],
    [":authority", "demo.test"],
    [":path", path],
    ...others,
  ];
}
