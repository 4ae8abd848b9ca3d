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
  /** The connection is a tunnel from here on. */
  sendSwitch(head: ResponseHead, added: readonly HeaderLine[]): void;
  /** Whether it is kept after the response that was begun. */
  readonly keepsConnection: boolean;
}

/** HTTP/1.1, and 1.0 for clients that speak no more. */
export function createHttp1Writer(
  wire: Wire,
  request: Pick<RequestHead, "version">,
): ResponseWriter {
  const isOld = request.version === "1.0";
  let chunked = false;
  let keepsConnection = false;
  function writeHead(head: ResponseHead, status: number, headers: (out: Outgoing) => void): void {
    wire.writeHead(head.headers.byteLength, (out) => {
      out.text(`HTTP/1.1 ${status} ${head.reason}\r\n`);
      headers(out);
      out.text("\r\n");
    });
  }
  return {
    get keepsConnection() {
      return keepsConnection;
    },
    sendContinue() {
      if (!isOld) wire.write(Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"));
    },
    sendInterim(head) {
      if (isOld) return;
      writeHead(head, head.status, (out) => headersOfInterim(out, head));
    },
    sendHead(head, { added, mayKeep }) {
      const isEndless = head.body.kind === "until-close" || head.body.kind === "chunked";
      chunked = isEndless && !isOld;
      keepsConnection = mayKeep && (!isEndless || chunked);
      const unwrapped: ResponseHead =
        head.body.kind === "chunked" && !chunked
          ? { ...head, body: { kind: "until-close" } }
          : head;
      const version = isOld ? "1.0" : "1.1";
      writeHead(head, head.status, (out) => {
        headersToClient(out, unwrapped, { chunked, added });
        connectionLine(out, { keepAlive: keepsConnection, version });
      });
    },
    sendBody(pieces, { last, trailers }) {
      for (const bytes of frameBody(pieces, { chunked, last, trailers })) wire.write(bytes);
    },
    sendSwitch(head, added) {
      writeHead(head, 101, (out) => headersOfSwitch(out, head, added));
    },
  };
}
