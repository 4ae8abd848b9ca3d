import {
  connectionLine,
  headersOfInterim,
  headersOfSwitch,
  headersToClient,
} from "./forward-headers.ts";
import { frameBody } from "./http-body.ts";
import type { Header, HeaderLine } from "./header-lines.ts";
import type { RequestHead, ResponseHead } from "./http-head.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Wire } from "./wire.ts";

/** How a response reaches its client: what differs between the versions of HTTP. */
export interface ResponseWriter {
  /** 100, which is the router's to say. */
  sendContinue(): void;
  /** Hints before the response; clients that do not know them get none. */
  sendInterim(head: ResponseHead): void;
  /** Begins the response; `mayKeep` is whether the connection could take another request after it. */
  sendHead(head: ResponseHead, options: { added: readonly HeaderLine[]; mayKeep: boolean }): void;
  /** Not called for a response without a body. */
  sendBody(
    pieces: readonly Buffer[],
    options: { last: boolean; trailers: readonly Header[] },
  ): void;
  /** The same for a body with a length of which all has come, in the bytes from a place on. */
  sendWholeBody(bytes: Buffer, from: number): void;
  /** The connection is a tunnel from here on. */
  sendSwitch(head: ResponseHead, added: readonly HeaderLine[]): void;
  /** Whether it is kept after the response that was begun. */
  readonly keepsConnection: boolean;
}

/** HTTP/1.1, and 1.0 for clients that speak no more. */
export class Http1Writer implements ResponseWriter {
  readonly #wire: Wire;
  readonly #isOld: boolean;
  #chunked = false;
  keepsConnection = false;

  constructor(wire: Wire, version: RequestHead["version"]) {
    this.#wire = wire;
    this.#isOld = version === "1.0";
  }

  sendContinue(): void {
    if (!this.#isOld) this.#wire.write(Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"));
  }

  sendInterim(head: ResponseHead): void {
    if (!this.#isOld) this.#writeHead(head, head.status, (out) => headersOfInterim(out, head));
  }

  sendHead(
    head: ResponseHead,
    { added, mayKeep }: { added: readonly HeaderLine[]; mayKeep: boolean },
  ): void {
    const isEndless = head.body.kind === "until-close" || head.body.kind === "chunked";
    const chunked = (this.#chunked = isEndless && !this.#isOld);
    const keepAlive = (this.keepsConnection = mayKeep && (!isEndless || chunked));
    const unwrapped: ResponseHead =
      head.body.kind === "chunked" && !chunked ? { ...head, body: { kind: "until-close" } } : head;
    this.#writeHead(head, head.status, (out) => {
      headersToClient(out, unwrapped, { chunked, added });
      connectionLine(out, { keepAlive, version: this.#isOld ? "1.0" : "1.1" });
    });
  }

  sendBody(
    pieces: readonly Buffer[],
    { last, trailers }: { last: boolean; trailers: readonly Header[] },
  ): void {
    const framed = frameBody(pieces, { chunked: this.#chunked, last, trailers });
    for (const bytes of framed) this.#wire.write(bytes);
  }

  sendWholeBody(bytes: Buffer, from: number): void {
    this.#wire.write(bytes, from);
  }

  sendSwitch(head: ResponseHead, added: readonly HeaderLine[]): void {
    this.#writeHead(head, 101, (out) => headersOfSwitch(out, head, added));
  }

  #writeHead(head: ResponseHead, status: number, headers: (out: Outgoing) => void): void {
    this.#wire.writeHead(head.headers.byteLength, (out) => {
      const line = statusLine(status, head.reason);
      out.bytes(line, 0, line.length);
      headers(out);
      out.text("\r\n");
    });
  }
}

/** The line that was last written for each status: apps hardly ever have two reasons for one. */
const statusLines = new Map<number, { reason: string; bytes: Buffer }>();

function statusLine(status: number, reason: string): Buffer {
  const last = statusLines.get(status);
  if (last?.reason === reason) return last.bytes;
  const bytes = Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n`, "latin1");
  statusLines.set(status, { reason, bytes });
  return bytes;
}
