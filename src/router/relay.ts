import { answerError, reportBug, type Afterwards, type Exchange } from "./exchange.ts";
import { headersToDyno, keptByDynoMs, passedTrailers } from "./forward-headers.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { BodyError, BodyReader, frameBody } from "./http-body.ts";
import { parseResponseHead, type ResponseHead } from "./http-head.ts";
import type { RouterErrorCode } from "./router-error.ts";
import { runTunnel } from "./tunnel.ts";
import type { Watched } from "./watchdog.ts";
import type { Reader, Wire } from "./wire.ts";

/** Whose request is under way. */
export interface RelayOwner {
  /** The 30 s and 55 s rules (contract §3.2). */
  readonly timeLimits: boolean;
  /** Whether the upstream may be used for another request. */
  readonly keepsUpstreams: boolean;
  readonly errorPageUrl: string | undefined;
  /** The connection has become a tunnel. */
  becameTunnel(): void;
  /** Takes the upstream for another request, when its last one has ended cleanly. */
  keepUpstream(upstream: Wire, maxIdleMs: number): void;
  /** The request, or the tunnel, has ended; called once. */
  ended(afterwards: Afterwards): void;
  /** The same after a bug. */
  failed(error: unknown): void;
}

/** An app may send hints before its response, not a stream of them to a client that takes none. */
const maxInterimResponses = 32;

/**
 * A request under way between two wires: it sends the request and brings back the response, both as
 * they come. Whatever goes wrong, at whatever moment, calls `#fail` once: it remembers the first
 * reason and ends the upstream, and the story below comes to its end.
 *
 * Nearly all responses are small and come in one piece. For those no promise is made: what a request
 * costs is, besides system calls, what is allocated for it.
 */
export class Relay implements Reader, Watched {
  readonly #exchange: Exchange;
  readonly #upstream: Wire;
  readonly #owner: RelayOwner;
  #failure: RouterErrorCode | undefined;
  /** Whose bytes are awaited; decides which time limit is the one that counts. */
  #awaitingUpload = false;
  #awaitingClientRoom = false;
  #responseBegun = false;
  /** The upstream was sent the whole request. */
  #requestIsSent = false;
  /** How long the upstream may wait for another request; 0 is not at all. */
  #keepUpstreamMs = 0;
  #hasEnded = false;

  constructor(exchange: Exchange, upstream: Wire, owner: RelayOwner) {
    this.#exchange = exchange;
    this.#upstream = upstream;
    this.#owner = owner;
  }

  start(): void {
    try {
      const { client, door, upload } = this.#exchange;
      this.#exchange.connectedAtMs = this.#upstream.activeAtMs = performance.now();
      if (client.wire.ended) this.#fail("H27");
      client.wire.onGone = this;
      const { firstByteMs, idleMs } = door.limits;
      if (this.#owner.timeLimits) client.wire.watchdog.set(Math.min(firstByteMs, idleMs), this);
      this.#sendRequestHead();
      if (upload.done) this.#requestIsSent = true;
      else void this.#sendBody();
      const first = this.#upstream.readNow();
      if (first === undefined) this.#upstream.readLater(this);
      else this.receive(first);
    } catch (error) {
      this.#end(error);
    }
  }

  /** The first piece of the response has come. */
  receive(piece: Buffer | null): void {
    try {
      const answered = this.#answerAtOnce(piece);
      if (answered !== undefined) return this.#endWithRoom(answered);
      if (piece !== null) this.#upstream.unread(piece);
      void this.#answer();
    } catch (error) {
      this.#end(error);
    }
  }

  /** The client has gone. */
  gone(): void {
    this.#fail(this.#exchange.door.stopping === "forced" ? "H24" : "H27");
  }

  /** A time limit may be over (contract §3.2): that depends on what has moved meanwhile. */
  late(): void {
    const { limitMs, code, activeAtMs } = this.#timeLimit();
    const leftMs = activeAtMs + limitMs - performance.now();
    if (leftMs <= 0) return this.#fail(code);
    // Another rule, which is over sooner, may be the one that counts meanwhile.
    const { firstByteMs } = this.#exchange.door.limits;
    const lookAgainMs = this.#responseBegun ? leftMs : Math.min(leftMs, firstByteMs);
    this.#exchange.client.wire.watchdog.set(lookAgainMs, this);
  }

  #timeLimit(): { limitMs: number; code: RouterErrorCode; activeAtMs: number } {
    const { firstByteMs, idleMs } = this.#exchange.door.limits;
    const { activeAtMs } = this.#upstream;
    if (this.#responseBegun)
      return {
        limitMs: idleMs,
        code: this.#awaitingClientRoom ? "H28" : "H15",
        activeAtMs: Math.max(activeAtMs, this.#exchange.client.wire.activeAtMs),
      };
    // Only the upstream's bytes count here: requests that follow on the same connection do not.
    return this.#awaitingUpload
      ? { limitMs: idleMs, code: "H28", activeAtMs }
      : { limitMs: firstByteMs, code: "H12", activeAtMs };
  }

  #fail(code: RouterErrorCode): void {
    this.#failure ??= code;
    this.#upstream.terminate();
    // Someone who waits for room in a client that takes nothing would wait for ever.
    if (this.#responseBegun) this.#exchange.client.wire.terminate();
  }

  /** Lets go of both wires, and tells what becomes of the client, or the bug. */
  #end(result: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const client = this.#exchange.client.wire;
    client.watchdog.clear();
    client.onGone = undefined;
    try {
      this.#leaveUpstream();
    } catch (error) {
      return this.#owner.failed(error);
    }
    if (typeof result === "string") this.#owner.ended(result as Afterwards);
    else this.#owner.failed(result);
  }

  /** Ends when the client has taken nearly all of the response: until then the time limits hold. */
  #endWithRoom(answered: Afterwards): void {
    const room = this.#exchange.client.wire.room();
    if (room === undefined) return this.#end(answered);
    this.#awaitingClientRoom = true;
    void room.then(() =>
      this.#end(this.#failure === undefined ? answered : this.#breakOff(this.#failure)),
    );
  }

  #leaveUpstream(): void {
    const upstream = this.#upstream;
    const { door } = this.#exchange;
    const clean =
      this.#failure === undefined &&
      this.#requestIsSent &&
      upstream.isSent &&
      !upstream.ended &&
      !upstream.hasBytes;
    if (clean && this.#keepUpstreamMs > 0) this.#owner.keepUpstream(upstream, this.#keepUpstreamMs);
    else upstream.close(door.limits.lastWordMs);
  }

  #sendRequestHead(): void {
    const exchange = this.#exchange;
    const { head, client } = exchange;
    this.#upstream.writeHead(head.headers.byteLength, (out) => {
      out.text(`${head.method} ${head.target} HTTP/1.1\r\n`);
      headersToDyno(out, head, {
        requestId: exchange.requestId,
        forwardedFor: exchange.forwardedFor,
        receivedAtMs: exchange.receivedAtMs,
        https: client.tlsVersion !== undefined,
        keepAlive: this.#owner.keepsUpstreams,
      });
      out.text("\r\n");
    });
  }

  async #sendBody(): Promise<void> {
    const { head, writer, upload } = this.#exchange;
    const upstream = this.#upstream;
    if (head.expect === "100-continue") writer.sendContinue();
    try {
      while (!this.#requestIsSent && !upstream.closed) {
        this.#awaitingUpload = true;
        const next = upload.read();
        const pieces = next instanceof Promise ? await next : next;
        this.#awaitingUpload = false;
        // Nothing may be left to read although the end is still to be written.
        const last = upload.done;
        const trailers = passedTrailers(upload.trailers);
        const chunked = head.body.kind === "chunked";
        for (const bytes of frameBody(pieces, { chunked, last, trailers })) upstream.write(bytes);
        this.#requestIsSent = last;
        const room = upstream.room();
        if (room !== undefined) await room;
      }
    } catch (error) {
      if (this.#hasEnded) return;
      // A body that was cut tells itself by the client's going; after the response it matters no more.
      if (!(error instanceof BodyError)) reportBug(error);
      if (!(error instanceof BodyError) || error.kind === "bad chunk") this.#fail("H26-chunk");
    }
  }

  /**
   * Sends a response that has come in one piece, head and body; nothing when it is not one, and
   * nothing is done then.
   */
  #answerAtOnce(piece: Buffer | null): Afterwards | undefined {
    const { head, writer } = this.#exchange;
    if (piece === null || this.#failure !== undefined || head.upgrade) return undefined;
    const parsed = parseResponseHead(piece, head);
    if (parsed.kind !== "head" || parsed.head.status < 200) return undefined;
    const { head: response, byteLength } = parsed;
    const { body } = response;
    const bodyBytes = body.kind === "none" ? 0 : body.kind === "length" ? body.bytes : Infinity;
    if (piece.length - byteLength !== bodyBytes) return undefined;
    this.#beginResponse(response);
    if (bodyBytes > 0) writer.sendWholeBody(piece, byteLength);
    this.#exchange.bytes = bodyBytes;
    return this.#endResponse(response);
  }

  /** Sends any other response, and ends. */
  async #answer(): Promise<void> {
    try {
      const response = await this.#receiveHead();
      if (typeof response === "string") this.#end(this.#refuse(response));
      else if (response.status === 101) this.#end(await this.#tunnel(response));
      else this.#end(await this.#sendResponse(response));
    } catch (error) {
      this.#end(error);
    }
  }

  /** The head of the final response; those before it (1xx) go on to clients that know them. */
  async #receiveHead(): Promise<ResponseHead | RouterErrorCode> {
    const { head, writer } = this.#exchange;
    const upstream = this.#upstream;
    let received = new HeadBuffer();
    let interim = 0;
    for (;;) {
      const more = await upstream.read();
      if (this.#failure !== undefined) return this.#failure;
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

  #refuse(code: RouterErrorCode): Afterwards {
    this.#upstream.terminate();
    this.#exchange.bytes = 0;
    return answerError(this.#exchange, code, this.#owner.errorPageUrl);
  }

  #beginResponse(response: ResponseHead): void {
    const exchange = this.#exchange;
    const { head, door, writer, upload } = exchange;
    this.#responseBegun = true;
    exchange.status = response.status;
    exchange.bytes = 0;
    writer.sendHead(response, {
      added: exchange.addedHeaders,
      // A dyno that answers before it has the whole request leaves the rest of it in our way.
      mayKeep: head.keepAlive && upload.done && !door.stopping,
    });
  }

  async #sendResponse(response: ResponseHead): Promise<Afterwards> {
    this.#beginResponse(response);
    try {
      await this.#sendResponseBody(new BodyReader(this.#upstream, response.body));
    } catch (error) {
      if (!(error instanceof BodyError)) throw error;
      return this.#breakOff(this.#failure ?? (error.kind === "cut" ? "H18" : "H17"));
    }
    if (this.#failure !== undefined) return this.#breakOff(this.#failure);
    return this.#endResponse(response);
  }

  #endResponse(response: ResponseHead): Afterwards {
    const { head, writer, upload } = this.#exchange;
    this.#keepUpstreamMs = !this.#owner.keepsUpstreams || head.upgrade ? 0 : keptByDynoMs(response);
    return writer.keepsConnection && upload.done ? "keep" : "close";
  }

  async #sendResponseBody(body: BodyReader): Promise<void> {
    const exchange = this.#exchange;
    const client = exchange.client.wire;
    while (!body.done && this.#failure === undefined) {
      const next = body.read();
      const pieces = next instanceof Promise ? await next : next;
      exchange.writer.sendBody(pieces, {
        last: body.done,
        trailers: passedTrailers(body.trailers),
      });
      for (const piece of pieces) exchange.bytes = (exchange.bytes ?? 0) + piece.length;
      const room = client.room();
      if (room === undefined) continue;
      this.#awaitingClientRoom = true;
      await room;
      this.#awaitingClientRoom = false;
    }
  }

  /** The response has begun, so the only way to say that it is not whole is to break the connection. */
  #breakOff(code: RouterErrorCode): Afterwards {
    this.#exchange.failure = code;
    this.#exchange.status = code === "H27" || code === "H28" ? 499 : 503;
    this.#upstream.terminate();
    this.#exchange.client.wire.terminate();
    return "gone";
  }

  async #tunnel(response: ResponseHead): Promise<Afterwards> {
    const exchange = this.#exchange;
    const { client, door } = exchange;
    client.wire.watchdog.clear();
    client.wire.onGone = undefined;
    this.#owner.becameTunnel();
    exchange.status = 101;
    exchange.writer.sendSwitch(response, exchange.addedHeaders);
    exchange.bytes = await runTunnel(client.wire, this.#upstream, {
      idleMs: this.#owner.timeLimits ? door.limits.idleMs : undefined,
      lastWordsMs: door.limits.idleMs,
    });
    return "gone";
  }
}
