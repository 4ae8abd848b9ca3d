/** Header compression of HTTP/2 (RFC 7541). */
export type Field = readonly [name: string, value: string];

/** The peer's headers can't be read, and so none after them: the connection is lost. */
export class HpackError extends Error {}

/** RFC 7541, appendix A. */
const staticTable: readonly Field[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ..."accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control content-disposition content-encoding content-language content-length content-location content-range content-type cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate"
    .split(" ")
    .map((name): Field => [name, ""]),
];

/** RFC 7541, appendix B: the length of each symbol's code, in base 36; the codes follow from them. */
const codeLengths =
  "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca" +
  "d67777777777777777777777878djde6f56565666577666567655677777fbeds" +
  "kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn" +
  "qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq" +
  "u";

const endOfString = 256;
const longestCodeBits = 30;

/**
 * The tree of the codes, walked half a byte at a time: for each inner node and each half byte the
 * node that follows, and the symbol that was completed on the way. No code is shorter than five
 * bits, so there is one at most.
 */
const huffman = growHuffman();

function growHuffman() {
  // Inner nodes are numbered from 0, the root; a leaf is a symbol's complement.
  const children: [number, number][] = [[NaN, NaN]];
  let code = 0;
  for (let bits = 1; bits <= longestCodeBits; bits++, code *= 2)
    for (let symbol = 0; symbol < codeLengths.length; symbol++)
      if (Number.parseInt(codeLengths[symbol]!, 36) === bits) plant(symbol, code++, bits);

  function plant(symbol: number, path: number, bits: number): void {
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit--) {
      const side = (path >> bit) & 1;
      if (Number.isNaN(children[node]![side])) {
        children[node]![side] = children.length;
        children.push([NaN, NaN]);
      }
      node = children[node]![side]!;
    }
    children[node]![path & 1] = ~symbol;
  }

  const next = new Uint8Array(children.length * 16);
  const symbols = new Int16Array(children.length * 16).fill(-1);
  for (let start = 0; start < children.length; start++)
    for (let half = 0; half < 16; half++) {
      let node = start;
      for (let bit = 3; bit >= 0; bit--) {
        node = children[node]![(half >> bit) & 1]!;
        if (node >= 0) continue;
        symbols[start * 16 + half] = ~node;
        node = 0;
      }
      next[start * 16 + half] = node;
    }
  // Padding is the beginning of the longest code, at most seven bits of it: all ones.
  const mayEnd = new Uint8Array(children.length);
  for (let node = 0, bits = 0; bits < 8; bits++, node = children[node]![1]) mayEnd[node] = 1;
  return { next, symbols, mayEnd };
}

function decodeHuffman(bytes: Buffer): string {
  const { next, symbols, mayEnd } = huffman;
  const decoded = Buffer.allocUnsafe(Math.floor((bytes.length * 8) / 5));
  let length = 0;
  let node = 0;
  for (let at = 0; at < 2 * bytes.length; at++) {
    const byte = bytes[at >> 1]!;
    const step = node * 16 + (at % 2 === 0 ? byte >> 4 : byte & 15);
    const symbol = symbols[step]!;
    if (symbol === endOfString) throw new HpackError("end of string inside a string");
    if (symbol >= 0) decoded[length++] = symbol;
    node = next[step]!;
  }
  if (mayEnd[node] !== 1) throw new HpackError("bad Huffman padding");
  return decoded.toString("latin1", 0, length);
}

const entryOverhead = 32;
const maxTableBytes = 4_096;

/** Reads the header blocks of one connection, in their order. */
export class HpackDecoder {
  /** The newest first. */
  #entries: Field[] = [];
  #bytes = 0;
  #maxBytes = maxTableBytes;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  /**
   * The fields of a block. Of one whose fields are longer than `maxBytes` together nothing is kept:
   * a few bytes can stand for a thousand times as many; but the table must go on.
   */
  decode(block: Buffer, maxBytes: number): Field[] | "too long" {
    this.#block = block;
    this.#at = 0;
    let fields: Field[] = [];
    let total = 0;
    while (this.#at < block.length) {
      const field = this.#readField(total === 0);
      if (field === undefined) continue;
      total += sizeOf(field);
      if (total > maxBytes) fields = [];
      else fields.push(field);
    }
    return total > maxBytes ? "too long" : fields;
  }

  #readField(isFirst: boolean): Field | undefined {
    const byte = this.#block[this.#at]!;
    if (byte & 0x80) return this.#lookUp(this.#readInteger(7));
    if (byte & 0x40) return this.#keep(this.#readLiteral(6));
    if (!(byte & 0x20)) return this.#readLiteral(4);
    const size = this.#readInteger(5);
    if (!isFirst || size > maxTableBytes) throw new HpackError("bad table size");
    this.#maxBytes = size;
    this.#evict();
    return undefined;
  }

  #readLiteral(prefixBits: number): Field {
    const index = this.#readInteger(prefixBits);
    const name = index === 0 ? this.#readString() : this.#lookUp(index)[0];
    return [name, this.#readString()];
  }

  #lookUp(index: number): Field {
    const field = staticTable[index - 1] ?? this.#entries[index - 1 - staticTable.length];
    if (index === 0 || field === undefined) throw new HpackError("no such table entry");
    return field;
  }

  #keep(field: Field): Field {
    this.#entries.unshift(field);
    this.#bytes += sizeOf(field);
    this.#evict();
    return field;
  }

  #evict(): void {
    while (this.#bytes > this.#maxBytes) this.#bytes -= sizeOf(this.#entries.pop()!);
  }

  #readInteger(prefixBits: number): number {
    const most = 2 ** prefixBits - 1;
    let value = this.#readByte() & most;
    if (value < most) return value;
    for (let factor = 1; ; factor *= 128) {
      if (factor > 128 ** 3) throw new HpackError("number too large");
      const byte = this.#readByte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  #readString(): string {
    const isHuffman = (this.#block[this.#at] ?? 0) >= 0x80;
    const length = this.#readInteger(7);
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#block.length) throw new HpackError("block too short");
    return isHuffman
      ? decodeHuffman(this.#block.subarray(start, this.#at))
      : this.#block.toString("latin1", start, this.#at);
  }

  #readByte(): number {
    const byte = this.#block[this.#at++];
    if (byte === undefined) throw new HpackError("block too short");
    return byte;
  }
}

function sizeOf([name, value]: Field): number {
  return name.length + value.length + entryOverhead;
}

const staticNames = new Map<string, number>();
for (const [index, [name]] of staticTable.entries())
  if (!staticNames.has(name)) staticNames.set(name, index + 1);
const staticFields = new Map(
  staticTable.map(([name, value], index) => [`${name} ${value}`, index + 1]),
);

/**
 * Writes a header block without the dynamic table: no state that two sides could see differently,
 * at the price of some bytes. What is secret is marked so that nobody on the way keeps it.
 */
export function encodeFields(fields: readonly Field[]): Buffer {
  let most = 0;
  for (const [name, value] of fields) most += name.length + value.length + 3 * longestIntegerBytes;
  const block = Buffer.allocUnsafe(most);
  let at = 0;
  for (const [name, value] of fields) {
    const whole = staticFields.get(`${name} ${value}`);
    if (whole !== undefined) {
      at = writeInteger(block, at, { value: whole, prefixBits: 7, pattern: 0x80 });
      continue;
    }
    const index = staticNames.get(name) ?? 0;
    const pattern = name === "set-cookie" || name === "authorization" ? 0x10 : 0;
    at = writeInteger(block, at, { value: index, prefixBits: 4, pattern });
    if (index === 0) at = writeString(block, at, name);
    at = writeString(block, at, value);
  }
  return block.subarray(0, at);
}

const longestIntegerBytes = 6;

function writeString(block: Buffer, at: number, text: string): number {
  const start = writeInteger(block, at, { value: text.length, prefixBits: 7, pattern: 0 });
  return start + block.write(text, start, "latin1");
}

/** Returns the place after it. */
function writeInteger(
  block: Buffer,
  start: number,
  { value, prefixBits, pattern }: { value: number; prefixBits: number; pattern: number },
): number {
  const most = 2 ** prefixBits - 1;
  let at = start;
  if (value < most) {
    block[at++] = pattern | value;
    return at;
  }
  block[at++] = pattern | most;
  let left = value - most;
  for (; left >= 128; left = Math.floor(left / 128)) block[at++] = (left % 128) | 0x80;
  block[at++] = left;
  return at;
}
