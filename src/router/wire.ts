import { Outgoing } from "./outgoing.ts";
import { Watchdog } from "./watchdog.ts";

/** What a socket must be able to do to become a wire. */
export interface Transport {
  /** Whether what `write` has taken may be overwritten at once. */
  readonly copies: boolean;
  /** Takes bytes; says how many it took, or -1 when it is closed. `last` is when an end follows. */
  write(bytes: Buffer, from: number, to: number, last: boolean): number;
  /** More was taken than the kernel has room for: wait for a drain. */
  isFull(): boolean;
  pause(): void;
  resume(): void;
  /** Says that no more bytes will come. */
  end(): void;
  /** Ends both ways at once; the other side sees a reset. */
  terminate(): void;
}

/** Who waits for bytes; null when there will be none. */
export interface Reader {
  receive(bytes: Buffer | null): void;
}

const highWaterBytes = 64 * 1_024;
/** Up to this much, copying bytes together is cheaper than one more system call. */
const joinBytes = 128 * 1_024;
/** Up to this much is copied to what goes out together in this turn. */
const copiedBytes = 32 * 1_024;
/** Up to this much, what was received is put together while it waits. */
const smallBytes = 4 * 1_024;

/**
 * The wires with something to send. All are flushed one after the other: a peer that is woken by the
 * first bytes then finds those of many connections, where it would be woken for each (a third of the
 * system's time for a request).
 */
let toFlush: Wire[] = [];
let flushed = 0;
/** What goes out in this turn, of all wires whose transports copy it. */
const outgoing = new Outgoing();

function flushAll(): void {
  try {
    // A stream of HTTP/2 writes to the wire of its connection, which then has its turn.
    while (flushed < toFlush.length) flushOne(toFlush[flushed++]!);
  } finally {
    toFlush = [];
    flushed = 0;
    outgoing.used = 0;
  }
}

/** A bug must cost one connection, never the others of this turn. */
function flushOne(wire: Wire): void {
  try {
    wire.flush();
  } catch (error) {
    process.stderr.write(`router: ${String((error as Error).stack)}\n`);
    try {
      wire.terminate();
    } catch {
      // What is told of its end has the same bug.
    }
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
  #reader: Reader | undefined;
  /** Where in `outgoing` the first bytes are that go out next; the others follow in `#unsent`. */
  #runStart = 0;
  #runEnd = 0;
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
  /** For what is waited for on it. */
  readonly watchdog = new Watchdog();
  /** Called once when the other side ends or goes; one listener at a time. */
  onGone: { gone(): void } | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The next bytes; null when the other side has ended. */
  read(): Buffer | null | Promise<Buffer | null> {
    const bytes = this.readNow();
    if (bytes !== undefined) return bytes;
    return new Promise((resolve) => (this.#reader = { receive: resolve }));
  }

  /** The same for a reader that is told of the next bytes when they come; nothing must be there yet. */
  readLater(reader: Reader): void {
    this.#reader = reader;
  }

  /** What has come already; nothing when it is to be waited for. */
  readNow(): Buffer | null | undefined {
    const bytes = this.#received.shift();
    if (bytes === undefined) return this.ended || this.#discarding ? null : undefined;
    this.#receivedBytes -= bytes.length;
    if (this.#paused && this.#receivedBytes < highWaterBytes / 2 && !this.closed) {
      this.#paused = false;
      this.#transport.resume();
    }
    return bytes;
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
   * Queues bytes, those from a place on; they go out together when all that has come in this turn of
   * the event loop was dealt with. Bytes for a closed wire are dropped.
   */
  write(bytes: Buffer, from = 0): void {
    const length = bytes.length - from;
    if (this.closed || this.#ending || length === 0) return;
    if (length <= copiedBytes && this.#beginRun(length)) {
      outgoing.bytes(bytes, from, bytes.length);
      this.#runEnd = outgoing.used;
    } else this.#unsent.push(from === 0 ? bytes : bytes.subarray(from));
    this.#queued(length);
  }

  /** The same for a head of at most so many bytes and some lines more, which `compose` writes. */
  writeHead(byteLength: number, compose: (out: Outgoing) => void): void {
    if (this.closed || this.#ending) return;
    const isRun = this.#beginRun(byteLength);
    if (!isRun && !outgoing.hasRoom(byteLength)) flushAll();
    const start = outgoing.used;
    try {
      compose(outgoing);
    } catch (error) {
      outgoing.used = start;
      throw error;
    }
    const bytes = outgoing.used - start;
    if (isRun) this.#runEnd = outgoing.used;
    else this.#unsent.push(outgoing.take(start));
    this.#queued(bytes);
  }

  /** Whether the next bytes may go behind the others in `outgoing`, which then has room for them. */
  #beginRun(byteLength: number): boolean {
    if (!this.#transport.copies || this.#blocked || this.#unsent.length > 0) return false;
    if (!outgoing.hasRoom(byteLength)) flushAll();
    if (this.#blocked || this.closed) return false;
    if (this.#runStart === this.#runEnd) this.#runStart = this.#runEnd = outgoing.used;
    // Another wire has written behind it.
    return this.#runEnd === outgoing.used;
  }

  #queued(bytes: number): void {
    this.#unsentBytes += bytes;
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
    if (this.hasRoom) return undefined;
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Whether the transport has taken all that was written. */
  get isSent(): boolean {
    return this.#unsentBytes === 0;
  }

  /** Whether it may be written to without waiting. */
  get hasRoom(): boolean {
    return this.closed || this.#unsentBytes + (this.#blocked ? highWaterBytes : 0) < highWaterBytes;
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
    this.#receivedBytes = 0;
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
    this.#keep(bytes);
    this.#receivedBytes += bytes.length;
    if (!this.#paused && this.#receivedBytes >= highWaterBytes) {
      this.#paused = true;
      this.#transport.pause();
    }
  }

  /** Single bytes that wait must not hold on to the buffers that they came in. */
  #keep(bytes: Buffer): void {
    const before = this.#received.at(-1);
    if (before === undefined || before.length + bytes.length > smallBytes)
      this.#received.push(bytes);
    else this.#received[this.#received.length - 1] = Buffer.concat([before, bytes]);
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
    gone?.gone();
  }

  handleClose(error?: unknown): void {
    if (this.closed) return;
    this.closed = true;
    this.watchdog.close();
    if (error) this.broken = true;
    this.#runStart = this.#runEnd = 0;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.handleEnd();
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
    for (const resolve of this.#closeWaiters.splice(0)) resolve();
  }

  #answerReader(bytes: Buffer | null): boolean {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.receive(bytes);
    return reader !== undefined;
  }

  #flush(): void {
    if (this.#runEnd > this.#runStart && !this.#sendRun()) return;
    if (this.#unsent.length > 1 && this.#unsentBytes <= joinBytes)
      this.#unsent = [Buffer.concat(this.#unsent)];
    while (this.#unsent.length > 0 && !this.closed) {
      const bytes = this.#unsent[0]!;
      const taken = this.#send(bytes, 0, bytes.length, this.#unsent.length === 1);
      if (taken < 0) return;
      if (taken === bytes.length) this.#unsent.shift();
      else this.#unsent[0] = bytes.subarray(taken);
      if (this.#blocked) return;
    }
    if (this.closed) return;
    if (this.#ending) this.#transport.end();
    if (this.#roomWaiters.length > 0) for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  /** False when not all of it was taken: the rest is kept, since its place is soon another's. */
  #sendRun(): boolean {
    const [start, end] = [this.#runStart, this.#runEnd];
    this.#runStart = this.#runEnd = 0;
    const taken = this.#send(outgoing.buffer, start, end, this.#unsent.length === 0);
    if (taken < 0) return false;
    if (taken < end - start)
      this.#unsent.unshift(Buffer.from(outgoing.buffer.subarray(start + taken, end)));
    return !this.#blocked;
  }

  /** How many bytes the transport took; -1 when it is closed: the close event follows and tells the rest. */
  #send(bytes: Buffer, from: number, to: number, last: boolean): number {
    const taken = this.#transport.write(bytes, from, to, this.#ending && last);
    if (taken < 0) return taken;
    if (taken > 0) this.activeAtMs = performance.now();
    this.#unsentBytes -= taken;
    this.#blocked = this.#transport.isFull();
    return taken;
  }
}
