import { chmodSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import type { AttachedProgram } from "../dyno/attached-dyno.ts";
import { readSecretLine, secretWord } from "../lib/secret-line.ts";

/** One hour without a byte in either direction ends a session (contract §2.2). */
const idleLimitMs = 60 * 60_000;
/** Who has connected has so long to say what for. */
const secretLimitMs = 10_000;
/** Clients throw away the first piece that they read, so nothing else may be in it. */
const greeting = "rendezvous\r\n";
const afterGreetingMs = 300;
/** A client whose input is no terminal says its end with this byte, and then nothing more. */
const endOfInput = 0x04;
const silenceAfterEndMs = 150;
const mostConnections = 1000;
/**
 * So much of its input a program may leave waiting, then its client waits. Not less: that a client has
 * gone is seen only behind what it has sent.
 */
const mostWaitingBytes = 4 * 1024 * 1024;

/** The program that waits for a secret, once. */
type Take = (secret: string) => { attached: AttachedProgram; hasTerminal: boolean } | undefined;

/**
 * Where Heroku's command line goes for an attached dyno: TLS, a line with the secret, then raw bytes
 * both ways (`rendezvous://HOST:PORT/SECRET`).
 */
export interface Rendezvous {
  /** Listens, with the certificate of now. Throws when that cannot be done. */
  ensure(): Promise<void>;
  /** Where a client goes for a secret; nothing while nobody listens. */
  addressOf(this: void, secret: string): string | undefined;
  close(): void;
}

/** Behind the router, which takes the TLS off (router/rendezvous.ts) and comes to a unix socket. */
export function rendezvousBehindRouter(options: {
  socketPath: string;
  /** What clients are told to go to: the router's port for HTTPS. */
  hostname: string;
  port: number;
  take: Take;
}): Rendezvous {
  const { socketPath, hostname, port, take } = options;
  let server: Server | undefined;
  return {
    async ensure() {
      if (server) return;
      // Left by one that was killed.
      rmSync(socketPath, { force: true });
      server = await listening(createServer(meetingOf(take)), { path: socketPath });
      chmodSync(socketPath, 0o600);
    },
    addressOf: (secret) => (server ? addressAt(hostname, port, secret) : undefined),
    close: () => void server?.close(),
  };
}

/** Without a router that speaks TLS: for clients on this machine alone, at any free port. */
export function rendezvousOnLoopback(options: {
  /** What clients are told to go to. */
  hostname: string;
  /** The certificate of that name; asked for again and again, for it is renewed. */
  certificate(): Promise<{ certificatePath: string; privateKeyPath: string }>;
  take: Take;
}): Rendezvous {
  const { hostname, take } = options;
  let server: TlsServer | undefined;
  let certificate = "";
  return {
    async ensure() {
      const { certificatePath, privateKeyPath } = await options.certificate();
      const [cert, key] = [readFileSync(certificatePath, "utf8"), readFileSync(privateKeyPath)];
      if (server && cert === certificate) return;
      if (server) server.setSecureContext({ cert, key });
      else {
        const tls = { cert, key, handshakeTimeout: secretLimitMs };
        server = await listening(createTlsServer(tls, meetingOf(take)), {
          host: "127.0.0.1",
          port: 0,
        });
        // A handshake that fails is its client's matter.
        server.on("tlsClientError", () => {});
      }
      certificate = cert;
    },
    addressOf(secret) {
      const address = server?.address();
      if (!address || typeof address === "string") return undefined;
      return addressAt(hostname, address.port, secret);
    },
    close: () => void server?.close(),
  };
}

function addressAt(hostname: string, port: number, secret: string): string {
  return `rendezvous://${hostname}:${port}/${secretWord(secret)}`;
}

function listening<One extends Server>(
  server: One,
  place: { path: string } | { host: string; port: number },
): Promise<One> {
  server.maxConnections = mostConnections;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(place, () => {
      server.off("error", reject);
      server.on("error", () => {});
      resolve(server);
    });
  });
}

/** Reads the secret and joins the client with what waits for it. */
function meetingOf(take: Take): (socket: Socket) => void {
  return (socket) => {
    let head = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.setTimeout(secretLimitMs, () => socket.destroy());
    socket.on("data", function read(bytes: Buffer) {
      head = Buffer.concat([head, bytes]);
      const line = readSecretLine(head);
      if (line.kind === "incomplete") return;
      socket.off("data", read);
      const found = line.kind === "secret" ? take(line.secret) : undefined;
      if (line.kind !== "secret" || !found) return void socket.destroy();
      serveProgram(socket, { ...found, early: line.rest });
    });
  };
}

function serveProgram(
  socket: Socket,
  {
    attached,
    hasTerminal,
    early,
  }: { attached: AttachedProgram; hasTerminal: boolean; early: Buffer },
): void {
  let ended = false;
  let room: PromiseWithResolvers<void> | undefined;
  const take = inputOf(attached, hasTerminal);
  let waitingBytes = 0;
  const input = (bytes: Buffer) => {
    const taken = take(bytes);
    if (!taken) return;
    waitingBytes += bytes.length;
    if (waitingBytes > mostWaitingBytes) socket.pause();
    void taken.finally(() => {
      waitingBytes -= bytes.length;
      if (socket.isPaused() && waitingBytes <= mostWaitingBytes) socket.resume();
    });
  };
  socket.setTimeout(idleLimitMs, () => socket.destroy());
  socket.setNoDelay(true);
  socket.on("drain", () => room?.resolve());
  socket.on("data", input);
  socket.on("end", () => socket.end());
  socket.on("close", () => {
    room?.resolve();
    if (!ended) attached.hangUp();
    ended = true;
  });
  if (early.length > 0) input(early);
  socket.write(greeting);
  setTimeout(() => {
    if (ended) return;
    attached.attach({
      async output(bytes) {
        if (socket.destroyed || socket.writableEnded) return;
        // The bytes are the giver's: its buffer may be used again before ours are sent.
        if (socket.write(Buffer.from(bytes))) return;
        room = Promise.withResolvers();
        await room.promise;
      },
      exit() {
        ended = true;
        socket.end();
      },
    });
  }, afterGreetingMs);
}

/**
 * Input for a program: as it is for a terminal, which knows the byte of its end by itself. Else that
 * byte is the end only when nothing follows it: it may be one of a file's.
 */
function inputOf(
  attached: AttachedProgram,
  hasTerminal: boolean,
): (bytes: Buffer) => Promise<void> | void {
  if (hasTerminal) return (bytes) => attached.write(bytes);
  let held: Timer | undefined;
  return (bytes) => {
    if (held) {
      clearTimeout(held);
      held = undefined;
      void attached.write(Buffer.of(endOfInput));
    }
    const mayBeEnd = bytes.at(-1) === endOfInput;
    if (mayBeEnd) held = setTimeout(() => attached.endInput(), silenceAfterEndMs);
    const rest = mayBeEnd ? bytes.subarray(0, -1) : bytes;
    return rest.length > 0 ? attached.write(rest) : undefined;
  };
}
