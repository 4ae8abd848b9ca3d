import type { FixedLine, HeaderLines, HeaderSink } from "./header-lines.ts";

const bytesInAll = 2 * 1_024 * 1_024;
/** What a head may have besides the lines of the one that it is made of. */
const marginBytes = 64 * 1_024;

/** Node.js has it and does not say so; `write` would first find out which encoding is meant. */
interface LatinWriter {
  latin1Write(text: string, offset: number): number;
}

/**
 * One piece of memory into which all that goes out in a turn of the event loop is written, head and
 * body one after the other, so that a response of many parts is one system call and no garbage.
 */
export class Outgoing implements HeaderSink {
  readonly buffer = Buffer.allocUnsafeSlow(bytesInAll) as Buffer & LatinWriter;
  #used = 0;
  /** What follows the bytes: texts are put together first, since each call costs more than its bytes. */
  #text = "";

  /** How many bytes are in use. */
  get used(): number {
    this.#writeText();
    return this.#used;
  }

  /** Takes back all from there on. */
  set used(used: number) {
    this.#text = "";
    this.#used = used;
  }

  /** Whether there is room for so many bytes, and some lines more. */
  hasRoom(bytes: number): boolean {
    return bytesInAll - this.used >= bytes + marginBytes;
  }

  text(text: string): void {
    this.#text += text;
  }

  bytes(from: Buffer, start: number, end: number): void {
    this.#writeText();
    const length = end - start;
    if (length > bytesInAll - this.#used) throw new Error(`no room for ${length} bytes`);
    // Few bytes are copied faster here than by a call.
    if (length > 64) from.copy(this.buffer, this.#used, start, end);
    else for (let at = start, to = this.#used; at < end; at++, to++) this.buffer[to] = from[at]!;
    this.#used += length;
  }

  line(lines: HeaderLines, index: number): void {
    lines.write(index, this);
  }

  add(name: string, value: string): void {
    this.#text += `${name}: ${value}\r\n`;
  }

  fixed({ bytes }: FixedLine): void {
    this.bytes(bytes, 0, bytes.length);
  }

  /** A copy of what was written since; its room is free again. */
  take(start: number): Buffer {
    const copy = Buffer.from(this.buffer.subarray(start, this.used));
    this.used = start;
    return copy;
  }

  #writeText(): void {
    const text = this.#text;
    if (text === "") return;
    this.#text = "";
    const written = this.buffer.latin1Write(text, this.#used);
    if (written !== text.length) throw new Error(`no room for ${text.length} bytes of a head`);
    this.#used += written;
  }
}
