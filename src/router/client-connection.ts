import {
  logRefused,
  reportBug,
  sendLastPage,
  type Afterwards,
  type Client,
  type Door,
} from "./exchange.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { parseRequestHead, readRefusedHead, type RequestHead } from "./http-head.ts";
import { BodyReader } from "./http-body.ts";
import { serveRequest, type Asker } from "./proxy.ts";
import { serveRendezvous } from "./rendezvous.ts";
import { Http1Writer } from "./response-writer.ts";
import { cutOffWhenSilent } from "./silence.ts";
import type { Watched } from "./watchdog.ts";
import type { Reader } from "./wire.ts";

/** Serves a client's requests one after the other, as long as the connection lasts. */
export function serveConnection(client: Client, door: Door): void {
  const connection = new ClientConnection(client, door);
  if (client.namesNoServer !== true) return connection.next();
  serveRendezvous(client, door)
    .then((what) => (what === "gone" ? connection.close() : connection.next()))
    .catch((error: unknown) => connection.failed(error));
}

/** A client that speaks HTTP/1: it waits for a head, or for the end of the request that it was of. */
class ClientConnection implements Reader, Watched, Asker {
  readonly #client: Client;
  readonly #door: Door;
  /** Requests may be there already, and be answered at once: they have their turns in one loop. */
  #isLooping = false;
  #isFree = false;

  constructor(client: Client, door: Door) {
    this.#client = client;
    this.#door = door;
  }

  /** Waits for the next request. */
  next(): void {
    this.#isFree = true;
    if (this.#isLooping) return;
    this.#isLooping = true;
    const { wire } = this.#client;
    while (this.#isFree) {
      this.#isFree = false;
      wire.watchdog.set(this.#door.limits.keepAliveMs, this);
      const piece = wire.readNow();
      if (piece === undefined) wire.readLater(this);
      else this.receive(piece);
    }
    this.#isLooping = false;
  }

  close(): void {
    this.#client.wire.close(this.#door.limits.lingerMs);
  }

  /** The first piece of a head, which is nearly always all of it; null when no more is asked for. */
  receive(piece: Buffer | null): void {
    try {
      const { watchdog } = this.#client.wire;
      const head = piece === null ? undefined : this.#readHead(piece);
      if (piece !== null && head === undefined) return void this.#receiveRest(piece);
      watchdog.clear();
      if (head === undefined) this.close();
      else this.#serve(head);
    } catch (error) {
      this.failed(error);
    }
  }

  /** No request has come for too long. */
  late(): void {
    this.#client.wire.interruptRead();
  }

  ended(afterwards: Afterwards): void {
    const { wire } = this.#client;
    this.#client.isAsking = false;
    if (afterwards !== "keep" || this.#door.stopping) return this.close();
    const room = wire.room();
    if (room === undefined) return this.next();
    cutOffWhenSilent(wire, this.#door.limits.idleMs);
    room.then(() => this.next()).catch((error: unknown) => this.failed(error));
  }

  failed(error: unknown): void {
    reportBug(error);
    this.#client.isAsking = false;
    this.#client.wire.terminate();
  }

  #serve(head: RequestHead | BadHead): void {
    const client = this.#client;
    const { wire } = client;
    if (typeof head === "number") {
      sendLastPage(wire, head, "no-page");
      return this.close();
    }
    client.isAsking = true;
    const upload = new BodyReader(wire, head.body);
    const writer = new Http1Writer(wire, head.version);
    serveRequest({ client, head, door: this.#door, upload, writer }, this);
  }

  async #receiveRest(first: Buffer): Promise<void> {
    const { wire } = this.#client;
    const received = new HeadBuffer();
    received.push(first);
    let isLate = false;
    wire.watchdog.set(this.#door.limits.headMs, {
      late() {
        isLate = true;
        wire.interruptRead();
      },
    });
    try {
      let head: RequestHead | BadHead | undefined;
      while (head === undefined) {
        const piece = await wire.read();
        if (piece === null && !isLate) return this.close();
        const bytes = piece === null ? undefined : received.push(piece);
        if (piece === null) head = 408;
        else if (bytes !== undefined) head = this.#readHead(bytes);
      }
      wire.watchdog.clear();
      this.#serve(head);
    } catch (error) {
      this.failed(error);
    }
  }

  /** The head at the start of the bytes; nothing when there is not all of it. */
  #readHead(bytes: Buffer): RequestHead | BadHead | undefined {
    const parsed = parseRequestHead(bytes);
    if (parsed.kind === "incomplete") return undefined;
    if (parsed.kind === "bad") {
      const refused = readRefusedHead(bytes);
      if (refused !== undefined) logRefused(refused, { client: this.#client, door: this.#door });
      return 400;
    }
    const { wire } = this.#client;
    if (parsed.byteLength < bytes.length) wire.unread(bytes.subarray(parsed.byteLength));
    return parsed.head;
  }
}

/** The status of a head that was not understood, or did not come. */
type BadHead = 400 | 408;
