/** What a socket must be able to do to become a wire. */
export interface Transport {
  /** Takes bytes; says how many it took, or -1 when it is closed. */
  write(bytes: Uint8Array): number;
  /** More was taken than the kernel has room for: wait for a drain. */
  isFull(): boolean;
  pause(): void;
  resume(): void;
  /** Says that no more bytes will come. */
  end(): void;
  /** Ends both ways at once; the other side sees a reset. */
  terminate(): void;
}

const highWaterBytes = 64 * 1_024;
/** Up to this much, copying bytes together is cheaper than one more system call. */
const joinBytes = 128 * 1_024;

/**
 * The wires with something to send. All are flushed one after the other: a peer that is woken by the
 * first bytes then finds those of many connections, where it would be woken for each (a third of the
 * system's time for a request).
 */
let toFlush: Wire[] = [];

function flushAll(): void {
  const wires = toFlush;
  toFlush = [];
  for (const wire of wires)
    try {
      wire.flush();
    } catch {
      // A bug must cost one connection, not those that come after it here.
      wire.terminate();
    }
}

/**
 * A byte stream with back-pressure both ways: it stops reading the socket while nobody takes what
 * it has read, and `room` says when it may be written to again. So a body of any size goes through
 * the router in the memory of a few buffers.
 */
export class Wire {
  readonly #transport: Transport;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #paused = false;
  #reader: ((bytes: Buffer | null) => void) | undefined;
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  #flushing = false;
  #blocked = false;
  #ending = false;
  #discarding = false;
  #roomWaiters: (() => void)[] = [];
  #closeWaiters: (() => void)[] = [];

  /** The other side will send no more, or the connection is gone. */
  ended = false;
  closed = false;
  /** The connection was broken, not ended in good order. */
  broken = false;
  /** When a byte last came or went, in `performance.now()` milliseconds. */
  activeAtMs = performance.now();
  /** Called once when the other side ends or goes; one listener at a time. */
  onGone: (() => void) | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The next bytes; null when the other side has ended. */
  read(): Buffer | null | Promise<Buffer | null> {
    const bytes = this.#received.shift();
    if (bytes !== undefined) {
      this.#receivedBytes -= bytes.length;
      if (this.#paused && this.#receivedBytes < highWaterBytes / 2 && !this.closed) {
        this.#paused = false;
        this.#transport.resume();
      }
      return bytes;
    }
    if (this.ended || this.#discarding) return null;
    return new Promise((resolve) => (this.#reader = resolve));
  }

  /** Something was received that nobody has read. */
  get hasBytes(): boolean {
    return this.#receivedBytes > 0;
  }

  /** Answers the read that is waiting, if one is, as if the other side had ended. */
  interruptRead(): void {
    this.#answerReader(null);
  }

  /** Puts bytes back, to be read first. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#received.unshift(bytes);
    this.#receivedBytes += bytes.length;
  }

  /**
   * Queues bytes; they go out together when all that has come in this turn of the event loop was
   * dealt with. Bytes for a closed wire are dropped.
   */
  write(bytes: Buffer): void {
    if (this.closed || this.#ending || bytes.length === 0) return;
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    if (this.#flushing || this.#blocked) return;
    this.#flushing = true;
    if (toFlush.push(this) === 1) setImmediate(flushAll);
  }

  /** Sends what was queued in this turn. */
  flush(): void {
    if (!this.#flushing) return;
    this.#flushing = false;
    this.#flush();
  }

  /** Nothing while there is room to write; otherwise what resolves once there is (or nobody left). */
  room(): Promise<void> | undefined {
    if (this.closed || this.#unsentBytes + (this.#blocked ? highWaterBytes : 0) < highWaterBytes)
      return undefined;
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Sends what is queued, then says that no more will come. */
  end(): void {
    if (this.#ending || this.closed) return;
    this.#ending = true;
    if (this.#unsent.length === 0 && !this.#flushing) this.#transport.end();
  }

  /** Ends the connection both ways, at once; what was queued goes out as far as the kernel takes it. */
  terminate(): void {
    if (this.closed) return;
    this.flush();
    this.#transport.terminate();
    this.handleClose();
  }

  /** Ends in good order; a peer that neither takes bytes nor follows in that time is cut off. */
  close(withinMs: number): void {
    this.end();
    if (this.closed || this.#discarding) return;
    // Counted from the last byte that went out: a slow receiver keeps its time.
    const check = () => {
      const leftMs = this.activeAtMs + withinMs - performance.now();
      if (leftMs <= 0) this.terminate();
      else timer = setTimeout(check, Math.ceil(leftMs));
    };
    this.activeAtMs = performance.now();
    let timer = setTimeout(check, withinMs);
    this.#closeWaiters.push(() => clearTimeout(timer));
    // Bytes that still come are nobody's; taking them lets the end of the stream be seen.
    this.#discarding = true;
    this.#received = [];
    this.#answerReader(null);
    if (this.#paused) this.#transport.resume();
    this.#paused = false;
  }

  /** Resolves when the connection is gone. */
  whenClosed(): Promise<void> {
    if (this.closed) return Promise.resolve();
    return new Promise((resolve) => this.#closeWaiters.push(resolve));
  }

  handleData(bytes: Buffer): void {
    if (this.#discarding) return;
    this.activeAtMs = performance.now();
    if (this.#answerReader(bytes)) return;
    this.#received.push(bytes);
    this.#receivedBytes += bytes.length;
    if (!this.#paused && this.#receivedBytes >= highWaterBytes) {
      this.#paused = true;
      this.#transport.pause();
    }
  }

  handleDrain(): void {
    this.#blocked = false;
    this.activeAtMs = performance.now();
    this.#flush();
  }

  /** The other side has sent its last byte. */
  handleEnd(): void {
    if (this.ended) return;
    this.ended = true;
    this.#answerReader(null);
    const gone = this.onGone;
    this.onGone = undefined;
    gone?.();
  }

  handleClose(error?: unknown): void {
    if (this.closed) return;
    this.closed = true;
    if (error) this.broken = true;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.handleEnd();
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
    for (const resolve of this.#closeWaiters.splice(0)) resolve();
  }

  #answerReader(bytes: Buffer | null): boolean {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.(bytes);
    return reader !== undefined;
  }

  #flush(): void {
    if (this.#unsent.length > 1 && this.#unsentBytes <= joinBytes)
      this.#unsent = [Buffer.concat(this.#unsent)];
    while (this.#unsent.length > 0 && !this.closed) {
      const bytes = this.#unsent[0]!;
      const taken = this.#transport.write(bytes);
      // The close event follows and tells the rest.
      if (taken < 0) return;
      if (taken > 0) this.activeAtMs = performance.now();
      this.#unsentBytes -= taken;
      if (taken === bytes.length) this.#unsent.shift();
      else this.#unsent[0] = bytes.subarray(taken);
      if (this.#transport.isFull()) {
        this.#blocked = true;
        return;
      }
    }
    if (this.closed) return;
    if (this.#ending) this.#transport.end();
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }
}
