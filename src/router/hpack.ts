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

interface HuffmanRow {
  /** The first code of this length, and the symbols from it on. */
  firstCode: number;
  symbols: number[];
}

/** For each length, which codes there are: a code of so many bits is a symbol when it is in range. */
const huffmanRows: HuffmanRow[] = readHuffmanRows();

function readHuffmanRows(): HuffmanRow[] {
  const rows: HuffmanRow[] = [];
  let code = 0;
  for (let bits = 0; bits <= longestCodeBits; bits++) {
    const symbols = codeLengths
      .split("")
      .flatMap((digit, symbol) => (Number.parseInt(digit, 36) === bits ? [symbol] : []));
    rows.push({ firstCode: code, symbols });
    code = (code + symbols.length) * 2;
  }
  return rows;
}

function decodeHuffman(bytes: Buffer): string {
  const decoded = Buffer.allocUnsafe(Math.floor((bytes.length * 8) / 5) + 1);
  let length = 0;
  let code = 0;
  let bits = 0;
  for (const byte of bytes)
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      if (++bits > longestCodeBits) throw new HpackError("no such Huffman code");
      const { firstCode, symbols } = huffmanRows[bits]!;
      const symbol = symbols[code - firstCode];
      if (symbol === undefined) continue;
      if (symbol === endOfString) throw new HpackError("end of string inside a string");
      decoded[length++] = symbol;
      code = bits = 0;
    }
  // What is left is padding: at most seven bits, all ones.
  if (bits > 7 || code !== 2 ** bits - 1) throw new HpackError("bad Huffman padding");
  return decoded.toString("latin1", 0, length);
}

const entryOverhead = 32;
const maxTableBytes = 4_096;
/** Strings that come again and again (paths, agents) are decoded once. */
const maxRemembered = 1_000;

/** Reads the header blocks of one connection, in their order. */
export class HpackDecoder {
  #entries: Field[] = [];
  #bytes = 0;
  #maxBytes = maxTableBytes;
  #remembered = new Map<string, string>();
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  /** The fields of a block; one whose fields are longer than `maxBytes` together is an error. */
  decode(block: Buffer, maxBytes: number): Field[] {
    this.#block = block;
    this.#at = 0;
    const fields: Field[] = [];
    let total = 0;
    while (this.#at < block.length) {
      const field = this.#readField(fields.length === 0);
      if (field === undefined) continue;
      total += field[0].length + field[1].length + entryOverhead;
      if (total > maxBytes) throw new HpackError("headers too long");
      fields.push(field);
    }
    return fields;
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
    const end = this.#at + length;
    if (end > this.#block.length) throw new HpackError("block too short");
    const raw = this.#block.toString("latin1", this.#at, end);
    const bytes = this.#block.subarray(this.#at, end);
    this.#at = end;
    if (!isHuffman) return raw;
    const known = this.#remembered.get(raw);
    if (known !== undefined) return known;
    const decoded = decodeHuffman(bytes);
    if (this.#remembered.size < maxRemembered && raw.length < 256)
      this.#remembered.set(raw, decoded);
    return decoded;
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
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    const whole = staticFields.get(`${name} ${value}`);
    if (whole !== undefined) {
      parts.push(encodeInteger(whole, 7, 0x80));
      continue;
    }
    const pattern = name === "set-cookie" || name === "authorization" ? 0x10 : 0;
    const index = staticNames.get(name) ?? 0;
    parts.push(encodeInteger(index, 4, pattern));
    if (index === 0) parts.push(encodeString(name));
    parts.push(encodeString(value));
  }
  return Buffer.concat(parts);
}

function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([encodeInteger(bytes.length, 7, 0), bytes]);
}

function encodeInteger(value: number, prefixBits: number, pattern: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.from([pattern | value]);
  const bytes = [pattern | most];
  let left = value - most;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80);
  bytes.push(left);
  return Buffer.from(bytes);
}
