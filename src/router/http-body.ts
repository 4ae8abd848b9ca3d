import type { Header } from "./header-lines.ts";
import type { BodyFraming } from "./http-head.ts";
import type { Wire } from "./wire.ts";

/** Why a body could not be read to its end. */
export class BodyError extends Error {
  readonly kind: "cut" | "bad chunk";

  constructor(kind: "cut" | "bad chunk") {
    super(kind);
    this.kind = kind;
  }
}

/** A body that comes piece by piece. */
export interface BodySource {
  readonly done: boolean;
  /** What a chunked body said after its end; none before that. */
  readonly trailers: readonly Header[];
  /** The next pieces, perhaps none; throws a BodyError when there is no end to be had. */
  read(): Buffer[] | Promise<Buffer[]>;
}
const noTrailers: readonly Header[] = [];

/** Takes one body off a wire, whatever its framing, and leaves what follows it there. */
export class BodyReader implements BodySource {
  readonly #wire: Wire;
  readonly #framing: BodyFraming;
  /** Only for a chunked body. */
  readonly #chunks: ChunkedDecoder | undefined;
  #left: number;
  done: boolean;

  constructor(wire: Wire, framing: BodyFraming) {
    this.#wire = wire;
    this.#framing = framing;
    this.#chunks = framing.kind === "chunked" ? new ChunkedDecoder() : undefined;
    this.#left = framing.kind === "length" ? framing.bytes : 0;
    this.done = framing.kind === "none" || (framing.kind === "length" && framing.bytes === 0);
  }

  get trailers(): readonly Header[] {
    return this.#chunks?.trailers ?? noTrailers;
  }

  /**
   * The next pieces of the payload, perhaps none; `done` says whether they were the last. What has
   * come already is returned at once, so that it can go on in one write with the head before it.
   */
  read(): Buffer[] | Promise<Buffer[]> {
    const bytes = this.#wire.read();
    return bytes instanceof Promise ? bytes.then((later) => this.#take(later)) : this.#take(bytes);
  }

  #take(bytes: Buffer | null): Buffer[] {
    if (bytes === null) {
      if (this.#framing.kind !== "until-close" || this.#wire.broken) throw new BodyError("cut");
      this.done = true;
      return [];
    }
    if (this.#framing.kind === "until-close") return [bytes];
    if (this.#chunks !== undefined) {
      const { pieces, rest } = this.#chunks.push(bytes);
      if (rest !== undefined) {
        this.done = true;
        this.#wire.unread(rest);
      }
      return pieces;
    }
    const mine = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= mine.length;
    this.done = this.#left === 0;
    if (mine.length < bytes.length) this.#wire.unread(bytes.subarray(mine.length));
    return [mine];
  }
}

const maxChunkLineBytes = 4_096;
const maxTrailerBytes = 16_384;
const chunkLine = /^([0-9A-Fa-f]{1,13})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const trailerLine =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*((?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[\t ]*$/;

/**
 * Undoes the chunked coding, strictly: only CRLF, only hexadecimal digits. Chunk extensions
 * are checked and dropped, since what goes on is framed anew.
 */
export class ChunkedDecoder {
  #state: "size" | "data" | "data end" | "trailer" = "size";
  #left = 0;
  #line: Buffer[] = [];
  #lineBytes = 0;
  #trailerBytes = 0;
  readonly trailers: Header[] = [];

  /** The payload in these bytes; `rest` is what follows the end of the body, once it is there. */
  push(bytes: Buffer): { pieces: Buffer[]; rest?: Buffer } {
    const pieces: Buffer[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "data") {
        const piece = bytes.subarray(at, at + this.#left);
        pieces.push(piece);
        at += piece.length;
        this.#left -= piece.length;
        if (this.#left === 0) this.#state = "data end";
        continue;
      }
      const lineEnd = bytes.indexOf(10, at);
      this.#keep(bytes.subarray(at, lineEnd === -1 ? bytes.length : lineEnd + 1));
      if (lineEnd === -1) break;
      at = lineEnd + 1;
      if (this.#takeLine()) return { pieces, rest: bytes.subarray(at) };
    }
    return { pieces };
  }

  #keep(part: Buffer): void {
    this.#line.push(part);
    this.#lineBytes += part.length;
    if (this.#lineBytes > maxChunkLineBytes) throw new BodyError("bad chunk");
  }

  /** True at the end of the body. */
  #takeLine(): boolean {
    const raw = Buffer.concat(this.#line).toString("latin1");
    this.#line = [];
    this.#lineBytes = 0;
    if (!raw.endsWith("\r\n")) throw new BodyError("bad chunk");
    const line = raw.slice(0, -2);
    if (this.#state === "size") {
      const [, digits] = chunkLine.exec(line) ?? [];
      if (digits === undefined) throw new BodyError("bad chunk");
      this.#left = Number.parseInt(digits, 16);
      this.#state = this.#left === 0 ? "trailer" : "data";
      return false;
    }
    if (this.#state === "data end") {
      if (line !== "") throw new BodyError("bad chunk");
      this.#state = "size";
      return false;
    }
    if (line === "") return true;
    this.#trailerBytes += raw.length;
    const [, name, value = ""] = trailerLine.exec(line) ?? [];
    if (name === undefined || this.#trailerBytes > maxTrailerBytes)
      throw new BodyError("bad chunk");
    this.trailers.push({ name, key: name.toLowerCase(), value });
    return false;
  }
}

const crlf = Buffer.from("\r\n");
const lastChunk = Buffer.from("0\r\n\r\n");

function endOfChunks(trailers: readonly Header[]): Buffer {
  return trailers.length === 0
    ? lastChunk
    : Buffer.from(`0\r\n${trailers.map(trailerText).join("")}\r\n`, "latin1");
}

function trailerText({ name, value }: Header): string {
  return `${name}: ${value}\r\n`;
}

/** Payload as it goes on: one chunk of all pieces, or plain; with the last chunk at the end. */
export function frameBody(
  pieces: readonly Buffer[],
  options: { chunked: boolean; last: boolean; trailers: readonly Header[] },
): readonly Buffer[] {
  if (!options.chunked) return pieces;
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const chunk = bytes === 0 ? [] : [Buffer.from(`${bytes.toString(16)}\r\n`), ...pieces, crlf];
  return options.last ? [...chunk, endOfChunks(options.trailers)] : chunk;
}
