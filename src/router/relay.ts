import { answerError, type Afterwards, type Exchange } from "./exchange.ts";
import { headersToDyno, keptByDynoMs, passedTrailers } from "./forward-headers.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { BodyError, BodyReader, frameBody, type BodySource } from "./http-body.ts";
import { parseResponseHead, type ResponseHead } from "./http-head.ts";
import type { RouterErrorCode } from "./router-error.ts";
import { runTunnel } from "./tunnel.ts";
import type { Wire } from "./wire.ts";

export interface RelayOptions {
  /** The 30 s and 55 s rules (contract §3.2). */
  timeLimits: boolean;
  /** Called when the connection has become a tunnel. */
  onTunnel: () => void;
  /** Called when the request, or the tunnel, has ended. */
  onEnd: () => void;
  errorPageUrl?: string | undefined;
  /** Takes the upstream for another request, when its last one has ended cleanly. */
  keepUpstream?: ((upstream: Wire, maxIdleMs: number) => void) | undefined;
}

/**
 * A request under way between two wires. Whatever goes wrong, at whatever moment, calls `fail`
 * once: it remembers the first reason and ends the upstream, and the story below comes to its end.
 */
interface Relay {
  exchange: Exchange;
  upstream: Wire;
  options: RelayOptions;
  failure?: RouterErrorCode;
  upload: BodySource;
  /** Whose bytes are awaited; decides which time limit is the one that counts. */
  awaitingUpload: boolean;
  awaitingClientRoom: boolean;
  responseBegun: boolean;
  /** How long the upstream may wait for another request; 0 is not at all. */
  keepUpstreamMs: number;
}

/** Sends the request, brings back the response, both as they come. */
export async function relay(
  exchange: Exchange,
  upstream: Wire,
  options: RelayOptions,
): Promise<Afterwards> {
  const client = exchange.client.wire;
  const run: Relay = {
    exchange,
    upstream,
    options,
    upload: exchange.upload,
    awaitingUpload: false,
    awaitingClientRoom: false,
    responseBegun: false,
    keepUpstreamMs: 0,
  };
  exchange.connectedAtMs = performance.now();
  upstream.activeAtMs = exchange.connectedAtMs;
  if (client.ended) fail(run, "H27");
  client.onGone = () => fail(run, exchange.door.stopping === "forced" ? "H24" : "H27");
  if (options.timeLimits) watch(run);
  try {
    sendRequestHead(run);
    if (!run.upload.done) void sendBody(run);
    const first = await upstream.read();
    const answered = answerAtOnce(run, first);
    if (answered !== undefined) return answered;
    if (first !== null) upstream.unread(first);
    const response = await receiveResponseHead(run);
    if (typeof response === "string") return refuse(run, response);
    if (response.status === 101) return await tunnel(run, response);
    return await sendResponse(run, response);
  } finally {
    client.watchdog.clear();
    client.onGone = undefined;
    leaveUpstream(run);
    options.onEnd();
  }
}

function leaveUpstream(run: Relay): void {
  const { upstream, upload, failure, options, exchange } = run;
  const clean = failure === undefined && upload.done && !upstream.ended && !upstream.hasBytes;
  if (clean && run.keepUpstreamMs > 0) options.keepUpstream?.(upstream, run.keepUpstreamMs);
  else upstream.close(exchange.door.limits.lastWordMs);
}

function fail(run: Relay, code: RouterErrorCode): void {
  run.failure ??= code;
  run.upstream.terminate();
  // Someone who waits for room in a client that takes nothing would wait for ever.
  if (run.responseBegun) run.exchange.client.wire.terminate();
}

function sendRequestHead({ exchange, upstream, options }: Relay): void {
  const { head, client } = exchange;
  upstream.writeHead(head.headers.byteLength, (out) => {
    out.text(`${head.method} ${head.target} HTTP/1.1\r\n`);
    headersToDyno(out, head, {
      requestId: exchange.requestId,
      forwardedFor: exchange.forwardedFor,
      receivedAtMs: exchange.receivedAtMs,
      https: client.tlsVersion !== undefined,
      keepAlive: options.keepUpstream !== undefined,
    });
    out.text("\r\n");
  });
}

async function sendBody(run: Relay): Promise<void> {
  const { exchange, upstream, upload } = run;
  const { head, writer } = exchange;
  if (upload.done) return;
  if (head.expect === "100-continue") writer.sendContinue();
  const framing = () => ({
    chunked: head.body.kind === "chunked",
    last: upload.done,
    trailers: passedTrailers(upload.trailers),
  });
  try {
    while (!upload.done && !upstream.closed) {
      run.awaitingUpload = true;
      const next = upload.read();
      const pieces = next instanceof Promise ? await next : next;
      run.awaitingUpload = false;
      for (const bytes of frameBody(pieces, framing())) upstream.write(bytes);
      const room = upstream.room();
      if (room !== undefined) await room;
    }
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    // A body that was cut tells itself by the client's going; after the response it matters no more.
    if (error.kind === "bad chunk") fail(run, "H26-chunk");
  }
}

/** An app may send hints before its response, not a stream of them to a client that takes none. */
const maxInterimResponses = 32;

/**
 * Sends a response that has come in one piece, head and body, as nearly all small ones do; nothing
 * when it is not one, and nothing is done then.
 */
function answerAtOnce(run: Relay, piece: Buffer | null): Afterwards | undefined {
  const { exchange, failure } = run;
  if (piece === null || failure !== undefined || exchange.head.upgrade) return undefined;
  const parsed = parseResponseHead(piece, exchange.head);
  if (parsed.kind !== "head" || parsed.head.status < 200) return undefined;
  const { head: response, byteLength } = parsed;
  const { body } = response;
  const bodyBytes = body.kind === "none" ? 0 : body.kind === "length" ? body.bytes : Infinity;
  if (piece.length - byteLength !== bodyBytes) return undefined;
  beginResponse(run, response);
  if (bodyBytes > 0) exchange.writer.sendWholeBody(piece, byteLength);
  exchange.bytes = bodyBytes;
  return endResponse(run, response);
}

/** The head of the final response; those before it (1xx) go on to clients that know them. */
async function receiveResponseHead(run: Relay): Promise<ResponseHead | RouterErrorCode> {
  const { upstream, exchange } = run;
  const { head, writer } = exchange;
  let received = new HeadBuffer();
  let interim = 0;
  for (;;) {
    const more = await upstream.read();
    if (run.failure !== undefined) return run.failure;
    if (more === null) return received.isEmpty && interim === 0 ? "H13" : "H17";
    const bytes = received.push(more);
    if (bytes === undefined) continue;
    const parsed = parseResponseHead(bytes, head);
    if (parsed.kind === "bad") return parsed.reason;
    if (parsed.kind === "incomplete") continue;
    const { status } = parsed.head;
    upstream.unread(bytes.subarray(parsed.byteLength));
    if (status === 101 && !head.upgrade) return "H17";
    // To a client of HTTP/2 any 2xx says that its tunnel is there (RFC 8441 §4).
    if (status >= 200 && status < 300 && head.upgrade && head.version === "2.0") return "H17";
    if (status >= 200 || status === 101) return parsed.head;
    if (++interim > maxInterimResponses) return "H17";
    received = new HeadBuffer();
    // 100 was the router's to say.
    if (status !== 100) writer.sendInterim(parsed.head);
  }
}

function refuse(run: Relay, code: RouterErrorCode): Afterwards {
  const { exchange, options } = run;
  run.upstream.terminate();
  exchange.bytes = 0;
  return answerError(exchange, code, options.errorPageUrl);
}

function beginResponse(run: Relay, response: ResponseHead): void {
  const { exchange, upload } = run;
  const { head, door, writer } = exchange;
  run.responseBegun = true;
  exchange.status = response.status;
  exchange.bytes = 0;
  writer.sendHead(response, {
    added: exchange.addedHeaders,
    // A dyno that answers before it has the whole request leaves the rest of it in our way.
    mayKeep: head.keepAlive && upload.done && !door.stopping,
  });
}

async function sendResponse(run: Relay, response: ResponseHead): Promise<Afterwards> {
  beginResponse(run, response);
  try {
    await sendResponseBody(run, new BodyReader(run.upstream, response.body));
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    return breakOff(run, run.failure ?? (error.kind === "cut" ? "H18" : "H17"));
  }
  if (run.failure !== undefined) return breakOff(run, run.failure);
  return endResponse(run, response);
}

function endResponse(run: Relay, response: ResponseHead): Afterwards {
  const { exchange, options, upload } = run;
  run.keepUpstreamMs =
    options.keepUpstream === undefined || exchange.head.upgrade ? 0 : keptByDynoMs(response);
  return exchange.writer.keepsConnection && upload.done ? "keep" : "close";
}

async function sendResponseBody(run: Relay, body: BodyReader): Promise<void> {
  const { exchange } = run;
  const client = exchange.client.wire;
  while (!body.done && run.failure === undefined) {
    const next = body.read();
    const pieces = next instanceof Promise ? await next : next;
    exchange.writer.sendBody(pieces, { last: body.done, trailers: passedTrailers(body.trailers) });
    for (const piece of pieces) exchange.bytes = (exchange.bytes ?? 0) + piece.length;
    const room = client.room();
    if (room === undefined) continue;
    run.awaitingClientRoom = true;
    await room;
    run.awaitingClientRoom = false;
  }
}

/** The response has begun, so the only way to say that it is not whole is to break the connection. */
function breakOff(run: Relay, code: RouterErrorCode): Afterwards {
  run.exchange.failure = code;
  run.exchange.status = code === "H27" || code === "H28" ? 499 : 503;
  run.upstream.terminate();
  run.exchange.client.wire.terminate();
  return "gone";
}

async function tunnel(run: Relay, response: ResponseHead): Promise<Afterwards> {
  const { exchange, upstream, options } = run;
  const { client, door } = exchange;
  client.wire.watchdog.clear();
  client.wire.onGone = undefined;
  options.onTunnel();
  exchange.status = 101;
  exchange.writer.sendSwitch(response, exchange.addedHeaders);
  exchange.bytes = await runTunnel(client.wire, upstream, {
    idleMs: options.timeLimits ? door.limits.idleMs : undefined,
    lastWordsMs: door.limits.idleMs,
  });
  return "gone";
}

/** Keeps the 30 s and 55 s rules (contract §3.2). */
function watch(run: Relay): void {
  const { exchange, upstream } = run;
  const { firstByteMs, idleMs } = exchange.door.limits;
  const client = exchange.client.wire;

  function check(): void {
    const { limitMs, code, activeAtMs } = rule();
    const leftMs = activeAtMs + limitMs - performance.now();
    if (leftMs <= 0) fail(run, code);
    else client.watchdog.set(leftMs, check);
  }

  function rule(): { limitMs: number; code: RouterErrorCode; activeAtMs: number } {
    if (run.responseBegun)
      return {
        limitMs: idleMs,
        code: run.awaitingClientRoom ? "H28" : "H15",
        activeAtMs: Math.max(upstream.activeAtMs, client.activeAtMs),
      };
    // Only the upstream's bytes count here: requests that follow on the same connection do not.
    return run.awaitingUpload
      ? { limitMs: idleMs, code: "H28", activeAtMs: upstream.activeAtMs }
      : { limitMs: firstByteMs, code: "H12", activeAtMs: upstream.activeAtMs };
  }

  client.watchdog.set(Math.min(firstByteMs, idleMs), check);
}
