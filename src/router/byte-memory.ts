const memoryPlaces = 512;
const maxRemembered = 100;

/** Remembers what short texts were found to mean, by their bytes: hosts are few, and come with every request. */
export class ByteMemory<Found> {
  readonly #find: (text: string) => Found | undefined;
  readonly #texts: (Buffer | undefined)[] = Array.from({ length: memoryPlaces });
  readonly #found: (Found | undefined)[] = Array.from({ length: memoryPlaces });

  constructor(find: (text: string) => Found | undefined) {
    this.#find = find;
  }

  find(bytes: Buffer, from: number, to: number): Found | undefined {
    const length = to - from;
    if (length > maxRemembered) return this.#find(bytes.toString("latin1", from, to));
    let hash = length;
    for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
    // The newest has the place: who sends ever new ones takes the gain from others for a moment only.
    const place = (hash ^ (hash >>> 16)) & (memoryPlaces - 1);
    const before = this.#texts[place];
    if (before !== undefined && isSame(before, bytes, from, length)) return this.#found[place];
    const own = Buffer.from(bytes.subarray(from, to));
    const found = this.#find(own.toString("latin1"));
    if (found === undefined) return undefined;
    this.#texts[place] = own;
    return (this.#found[place] = found);
  }
}

function isSame(text: Buffer, bytes: Buffer, from: number, length: number): boolean {
  if (text.length !== length) return false;
  for (let at = 0; at < length; at++) if (text[at] !== bytes[from + at]) return false;
  return true;
}
