/** Who is told when a time is over. */
export interface Watched {
  late(): void;
}

/**
 * One timer for all that a connection waits for, one thing after the other. It looks at its time only
 * when it fires: a request that sets it anew touches no timer, as long as it is set for later.
 */
export class Watchdog {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAtMs = Infinity;
  #untilMs = Infinity;
  #watched: Watched | undefined;

  /** Tells it once when so much time has passed, unless it is set anew or cleared before. */
  set(waitMs: number, watched: Watched): void {
    this.#untilMs = performance.now() + waitMs;
    this.#watched = watched;
    if (this.#untilMs < this.#firesAtMs) this.#arm(waitMs);
  }

  /** Nothing is waited for; the timer may still fire once, in vain. */
  clear(): void {
    this.#untilMs = Infinity;
    this.#watched = undefined;
  }

  /** Nothing will be waited for any more. */
  close(): void {
    this.clear();
    clearTimeout(this.#timer);
    this.#firesAtMs = -Infinity;
  }

  #arm(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#firesAtMs = this.#untilMs;
    this.#timer = setTimeout(() => this.#fire(), Math.ceil(waitMs));
  }

  #fire(): void {
    this.#firesAtMs = Infinity;
    if (this.#untilMs === Infinity) return;
    const leftMs = this.#untilMs - performance.now();
    if (leftMs > 0) return this.#arm(leftMs);
    const watched = this.#watched;
    this.clear();
    watched?.late();
  }
}
