const noBytes = Buffer.alloc(0);
const endOfHead = Buffer.from("\r\n\r\n");

/**
 * Collects a head that comes in pieces. Reading it anew with each piece would cost the square of its
 * length, and a peer that sends single bytes would have a processor for itself; so it is only worth a
 * look when its end is there, or when it has doubled since the last look.
 */
export class HeadBuffer {
  #bytes: Buffer = noBytes;
  #length = 0;
  #seenLength = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Adds a piece; returns all bytes so far when they are worth a look. */
  push(piece: Buffer): Buffer | undefined {
    const before = this.#length;
    if (before === 0) this.#bytes = piece;
    else this.#append(piece);
    this.#length += piece.length;
    const all = this.#bytes.subarray(0, this.#length);
    const isWhole = all.indexOf(endOfHead, Math.max(0, before - 3)) !== -1;
    if (!isWhole && this.#length < 2 * this.#seenLength) return undefined;
    this.#seenLength = this.#length;
    return all;
  }

  #append(piece: Buffer): void {
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length || this.#length === this.#bytes.length) {
      const larger = Buffer.allocUnsafe(2 * needed);
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    piece.copy(this.#bytes, this.#length);
  }
}
