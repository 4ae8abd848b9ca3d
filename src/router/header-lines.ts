import type { ByteMemory } from "./byte-memory.ts";

export interface Header {
  name: string;
  /** The name in lower case. */
  key: string;
  value: string;
}

/** A header to be written. */
export type HeaderLine = Pick<Header, "name" | "value">;

/** The names that mean something to the router; all others only go through. */
const names = [
  ...["host", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "te"],
  ...["trailer", "transfer-encoding", "content-length", "expect", "upgrade", "via"],
  ...["x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-request-start"],
  ...["x-request-id", "date", "set-cookie", "cookie", "authorization", "location"],
  ...["content-type", "content-encoding"],
] as const;

export type KnownName = (typeof names)[number];

/** The number of each known name; 0 is any other name. */
export const known = Object.fromEntries(names.map((name, index) => [name, index + 1])) as Readonly<
  Record<KnownName, number>
>;

/**
 * Added to the number of a name that is spelt with `_` for `-`, like `x_forwarded_for`: it means
 * nothing to us, but servers that speak CGI mix the two up.
 */
const underscored = 32;

/** The known name that a line would be mixed up with, or has. */
export const asHyphenated = (kind: number): number => kind & (underscored - 1);

/** A table by the numbers of names, for `isIn[kind]`. */
export function setOfNames(members: Iterable<KnownName>): readonly boolean[] {
  const isIn = Array.from({ length: names.length + 1 }, () => false);
  for (const name of members) isIn[known[name]] = true;
  return isIn;
}

const maxNameLength = 1_000;
const maxLines = 1_000;

const [tokenByte, valueByte, targetByte] = [1, 2, 4];
/** What each byte may be part of. */
const bytesOf = new Uint8Array(256);
/** Each byte in lower case, and `_` as `-`. */
const folded = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const character = String.fromCharCode(byte);
  const isVisible = (byte > 0x20 && byte < 0x7f) || byte >= 0x80;
  bytesOf[byte] =
    (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character) ? tokenByte : 0) |
    (isVisible || byte === 0x20 || byte === 9 ? valueByte : 0) |
    (isVisible ? targetByte : 0);
  folded[byte] = character === "_" ? 0x2d : character.toLowerCase().charCodeAt(0);
}

/** The first place from `at` on, before `end`, whose byte is none of a token. */
export function endOfToken(bytes: Buffer, at: number, end: number): number {
  while (at < end && (bytesOf[bytes[at]!]! & tokenByte) !== 0) at++;
  return at;
}

/** The same for a header's value. */
export function endOfValue(bytes: Buffer, at: number, end: number): number {
  while (at < end && (bytesOf[bytes[at]!]! & valueByte) !== 0) at++;
  return at;
}

/** The same for a request's target. */
export function endOfTarget(bytes: Buffer, at: number, end: number): number {
  while (at < end && (bytesOf[bytes[at]!]! & targetByte) !== 0) at++;
  return at;
}

/** Known names by their hash, in the first free place from `hash % 256` on. */
const kindAt = new Uint8Array(256);
const nameAt: (Buffer | undefined)[] = Array.from({ length: 256 });
for (const name of names) {
  const bytes = Buffer.from(name);
  let hash = 0;
  for (const byte of bytes) hash = nextHash(hash, byte);
  let place = hash & 255;
  while (kindAt[place] !== 0) place = (place + 1) & 255;
  kindAt[place] = known[name];
  nameAt[place] = bytes;
}

function nextHash(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + folded[byte]!) | 0;
}

/** The number of a name, by its hash; its bytes decide. */
function kindOf(bytes: Buffer, from: number, to: number, hash: number): number {
  for (let place = hash & 255; kindAt[place] !== 0; place = (place + 1) & 255) {
    const name = nameAt[place]!;
    if (name.length !== to - from) continue;
    let same = 0;
    let hasUnderscore = false;
    for (; same < name.length; same++) {
      const byte = bytes[from + same]!;
      if (folded[byte] !== name[same]) break;
      if (byte === 0x5f) hasUnderscore = true;
    }
    if (same === name.length) return kindAt[place]! + (hasUnderscore ? underscored : 0);
  }
  return 0;
}

export type BadLines =
  "too many headers" | "header line too long" | "bad header name" | "bad header value";

/**
 * Reads header lines strictly: one way to read each, or none. `end` is where the last one ends,
 * without its line break.
 */
export function readLines(
  bytes: Buffer,
  from: number,
  end: number,
  maxLineBytes: number,
): HeaderLines | BadLines {
  const marks: number[] = [];
  let count = 0;
  let present = 0;
  for (let at = from; at < end; at += 2) {
    if (count++ === maxLines) return "too many headers";
    const start = at;
    let hash = 0;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if ((bytesOf[byte]! & tokenByte) === 0) break;
      hash = nextHash(hash, byte);
    }
    const nameEnd = at;
    // Folded lines, blanks before the colon and lines without one all end here.
    if (nameEnd === start || nameEnd - start > maxNameLength || bytes[at] !== 0x3a)
      return isTooLong(bytes, start, end, maxLineBytes)
        ? "header line too long"
        : "bad header name";
    do at++;
    while (at < end && isBlank(bytes[at]!));
    const valueStart = at;
    at = endOfValue(bytes, at, end);
    if (at - start > maxLineBytes) return "header line too long";
    if (at < end && (bytes[at] !== 13 || bytes[at + 1] !== 10))
      return isTooLong(bytes, start, end, maxLineBytes)
        ? "header line too long"
        : "bad header value";
    let valueEnd = at;
    while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1]!)) valueEnd--;
    const kind = kindOf(bytes, start, nameEnd, hash);
    if (kind < underscored) present |= 1 << kind;
    marks.push(start, nameEnd, valueStart, valueEnd, kind);
  }
  return new HeaderLines(bytes, marks, present);
}

function isTooLong(bytes: Buffer, start: number, end: number, maxLineBytes: number): boolean {
  const lineEnd = bytes.indexOf("\r\n", start, "latin1");
  return Math.min(lineEnd === -1 ? end : lineEnd, end) - start > maxLineBytes;
}

/** Blanks and tabs only: `trim` would also take the no-break space, a byte like any other here. */
function isBlank(byte: number): boolean {
  return byte === 32 || byte === 9;
}

/** Where the bytes of a line go. */
interface ByteSink {
  bytes(from: Buffer, start: number, end: number): void;
  text(text: string): void;
}

/** What header lines are written to. */
export interface HeaderSink {
  /** One of a head, as it came. */
  line(lines: HeaderLines, index: number): void;
  /** One more. */
  add(name: string, value: string): void;
  /** One that is always the same. */
  fixed(line: FixedLine): void;
}

/** A line whose bytes are made once. */
export class FixedLine {
  readonly name: string;
  readonly value: string;
  readonly bytes: Buffer;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.bytes = Buffer.from(`${name}: ${value}\r\n`);
  }
}

const noWords: ReadonlySet<string> = new Set();
const noValues: readonly string[] = [];
/** For each line: where its name begins and ends, its value begins and ends, the name's number. */
const marksPerLine = 5;

/**
 * The header lines of a head: its bytes, and where in them everything is. Nearly all lines go through
 * the router without ever becoming a string.
 */
export class HeaderLines {
  readonly #bytes: Buffer;
  readonly #marks: readonly number[];
  /** A bit for each known name that is there. */
  readonly #present: number;
  #words: ReadonlySet<string> | undefined;

  constructor(bytes: Buffer, marks: readonly number[], present: number) {
    this.#bytes = bytes;
    this.#marks = marks;
    this.#present = present;
  }

  get count(): number {
    return this.#marks.length / marksPerLine;
  }

  /** How many bytes all of them have, at most. */
  get byteLength(): number {
    return this.#marks.at(-2) ?? 0;
  }

  /** The number of a line's name. */
  kind(index: number): number {
    return this.#marks[index * marksPerLine + 4]!;
  }

  name(index: number): string {
    const mark = index * marksPerLine;
    return this.#bytes.toString("latin1", this.#marks[mark], this.#marks[mark + 1]);
  }

  value(index: number): string {
    const mark = index * marksPerLine;
    return this.#bytes.toString("latin1", this.#marks[mark + 2], this.#marks[mark + 3]);
  }

  valueLength(index: number): number {
    const mark = index * marksPerLine;
    return this.#marks[mark + 3]! - this.#marks[mark + 2]!;
  }

  /** The line with a name, -1 for none, -2 for several. */
  only(kind: number): number {
    if (!this.has(kind)) return -1;
    let found = -1;
    const marks = this.#marks;
    for (let mark = 4; mark < marks.length; mark += marksPerLine)
      if (marks[mark] === kind) {
        if (found !== -1) return -2;
        found = (mark - 4) / marksPerLine;
      }
    return found;
  }

  has(kind: number): boolean {
    return ((this.#present >> kind) & 1) === 1;
  }

  /** All values of a header, in their order. */
  values(kind: number): readonly string[] {
    const one = this.only(kind);
    if (one === -1) return noValues;
    if (one >= 0) return [this.value(one)];
    const values: string[] = [];
    for (let index = 0; index < this.count; index++)
      if (this.kind(index) === kind) values.push(this.value(index));
    return values;
  }

  /** What a line says as a number without sign, of at most 15 digits; -1 when it says anything else. */
  decimal(index: number): number {
    const mark = index * marksPerLine;
    const [start, end] = [this.#marks[mark + 2]!, this.#marks[mark + 3]!];
    if (end === start || end - start > 15) return -1;
    let number = 0;
    for (let at = start; at < end; at++) {
      const digit = this.#bytes[at]! - 0x30;
      if (digit < 0 || digit > 9) return -1;
      number = number * 10 + digit;
    }
    return number;
  }

  /** The words of Connection, in lower case. */
  get connectionWords(): ReadonlySet<string> {
    if (this.#words !== undefined) return this.#words;
    const values = this.values(known.connection);
    return (this.#words = values.length === 0 ? noWords : wordsOf(values.join(",")));
  }

  /** Whether Connection names a line, which so is not for others (RFC 9110 §7.6.1). */
  isOfConnection(index: number): boolean {
    const words = this.connectionWords;
    return words.size > 0 && !saysNoMore(words) && words.has(this.name(index).toLowerCase());
  }

  /** Where a text was found before, of the value of a line. */
  recall<Found>(index: number, memory: ByteMemory<Found>): Found | undefined {
    const mark = index * marksPerLine;
    return memory.find(this.#bytes, this.#marks[mark + 2]!, this.#marks[mark + 3]!);
  }

  /** Writes a line, with one blank after its colon. */
  write(index: number, out: ByteSink): void {
    const mark = index * marksPerLine;
    const [start, nameEnd] = [this.#marks[mark]!, this.#marks[mark + 1]!];
    const [valueStart, valueEnd] = [this.#marks[mark + 2]!, this.#marks[mark + 3]!];
    const isPlain =
      valueStart === nameEnd + 2 &&
      this.#bytes[nameEnd + 1] === 32 &&
      this.#bytes[valueEnd] === 13 &&
      this.#bytes[valueEnd + 1] === 10;
    if (isPlain) return out.bytes(this.#bytes, start, valueEnd + 2);
    out.bytes(this.#bytes, start, nameEnd);
    out.text(": ");
    out.bytes(this.#bytes, valueStart, valueEnd);
    out.text("\r\n");
  }

  list(): Header[] {
    return Array.from({ length: this.count }, (_, index) => {
      const name = this.name(index);
      return { name, key: name.toLowerCase(), value: this.value(index) };
    });
  }
}

/** Connection usually says no more than this. */
const [onlyKeepAlive, onlyClose]: ReadonlySet<string>[] = [
  new Set(["keep-alive"]),
  new Set(["close"]),
];

/** Whether no word in it is the name of a line that would go on. */
function saysNoMore(words: ReadonlySet<string>): boolean {
  return words === onlyKeepAlive || words === onlyClose;
}

/** The words of a list, in lower case. */
function wordsOf(list: string): ReadonlySet<string> {
  const lower = list.toLowerCase();
  if (lower === "keep-alive") return onlyKeepAlive!;
  if (lower === "close") return onlyClose!;
  return new Set(lower.split(",").map((word) => trimBlanks(word)));
}

/** Without the blanks and tabs at its ends. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** Lines of texts; nothing when one of them could not be read again as what it is. */
export function linesOf(
  headers: readonly HeaderLine[],
  maxLineBytes = Infinity,
): HeaderLines | BadLines {
  let text = "";
  for (const { name, value } of headers) text += `${name}: ${value}\r\n`;
  const bytes = Buffer.from(text, "latin1");
  const lines = readLines(bytes, 0, Math.max(0, bytes.length - 2), maxLineBytes);
  // A line break in a text would make two lines of one.
  return typeof lines !== "string" && lines.count !== headers.length ? "bad header value" : lines;
}
