/** A window is given back in pieces of this size, not byte by byte. */
const pieceBytes = 32 * 1_024;

/** How much the other side of HTTP/2 may send before it hears that we have taken it. */
export class ReceiveWindow {
  #leftBytes: number;
  #takenBytes = 0;

  constructor(bytes: number) {
    this.#leftBytes = bytes;
  }

  /** False when more came than was allowed. */
  receive(bytes: number): boolean {
    this.#leftBytes -= bytes;
    return this.#leftBytes >= 0;
  }

  /** What was received has been taken; returns by how much to widen the window, 0 is not yet. */
  take(bytes: number): number {
    this.#takenBytes += bytes;
    if (this.#takenBytes < pieceBytes) return 0;
    const widened = this.#takenBytes;
    this.#leftBytes += widened;
    this.#takenBytes = 0;
    return widened;
  }
}
