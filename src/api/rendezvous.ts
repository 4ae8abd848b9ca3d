import { createServer, type Server, type TLSSocket } from "node:tls";
import { readFileSync } from "node:fs";
import type { AttachedProgram } from "../dyno/attached-dyno.ts";

/** One hour without a byte in either direction ends a session (contract §2.2). */
const idleLimitMs = 60 * 60_000;
/** Who has connected has so long to say what for. */
const secretLimitMs = 10_000;
const longestSecretLine = 200;
/** Clients throw away the first piece that they read, so nothing else may be in it. */
const greeting = "rendezvous\r\n";
const afterGreetingMs = 300;
/** A client whose input is no terminal says its end with this byte, and then nothing more. */
const endOfInput = 0x04;
const silenceAfterEndMs = 150;
const mostConnections = 1000;

export interface RendezvousOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  /** What clients are told to go to. */
  hostname: string;
  /** The certificate of that name; asked for again and again, for it is renewed. */
  certificate(): Promise<{ certificatePath: string; privateKeyPath: string }>;
  /** The program that waits for this secret, once. */
  take: (secret: string) => { attached: AttachedProgram; hasTerminal: boolean } | undefined;
}

export type Rendezvous = ReturnType<typeof createRendezvous>;

/**
 * Where Heroku's command line goes for an attached dyno: TLS, a line with the secret, then raw bytes
 * both ways (`rendezvous://HOST:PORT/SECRET`). Nothing listens before `ensure`.
 */
export function createRendezvous(options: RendezvousOptions) {
  let server: Server | undefined;
  let certificate = "";

  async function ensure(): Promise<void> {
    const { certificatePath, privateKeyPath } = await options.certificate();
    const [cert, key] = [readFileSync(certificatePath, "utf8"), readFileSync(privateKeyPath)];
    if (server && cert === certificate) return;
    if (server) server.setSecureContext({ cert, key });
    else server = await listen({ ...options, cert, key });
    certificate = cert;
  }

  return {
    /** Listens, with the certificate of now. Throws when the port cannot be had. */
    ensure,
    /** Where a client goes for a secret; nothing while nobody listens. */
    addressOf: (secret: string): string | undefined => {
      const address = server?.address();
      if (!address || typeof address === "string") return undefined;
      return `rendezvous://${options.hostname}:${address.port}/${secret}`;
    },
    close: () => void server?.close(),
  };
}

function listen(options: RendezvousOptions & { cert: string; key: Buffer }): Promise<Server> {
  const { cert, key, host, port, take } = options;
  const server = createServer({ cert, key, handshakeTimeout: secretLimitMs }, (socket) =>
    meet(socket, take),
  );
  server.maxConnections = mostConnections;
  // A handshake that fails is its client's matter.
  server.on("tlsClientError", () => {});
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      server.on("error", () => {});
      resolve(server);
    });
  });
}

/** Reads the secret and joins the client with what waits for it. */
function meet(socket: TLSSocket, take: RendezvousOptions["take"]): void {
  let head = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.setTimeout(secretLimitMs, () => socket.destroy());
  socket.on("data", function read(bytes: Buffer) {
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf("\n");
    if (end < 0 && head.length <= longestSecretLine) return;
    socket.off("data", read);
    const secret = head.subarray(0, Math.max(0, end)).toString("utf8").trim();
    const found = end < 0 || end > longestSecretLine ? undefined : take(secret);
    if (!found) return void socket.destroy();
    serveProgram(socket, { ...found, early: head.subarray(end + 1) });
  });
}

function serveProgram(
  socket: TLSSocket,
  {
    attached,
    hasTerminal,
    early,
  }: { attached: AttachedProgram; hasTerminal: boolean; early: Buffer },
): void {
  let ended = false;
  let room: PromiseWithResolvers<void> | undefined;
  const input = inputOf(attached, hasTerminal);
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
function inputOf(attached: AttachedProgram, hasTerminal: boolean): (bytes: Buffer) => void {
  if (hasTerminal) return (bytes) => attached.write(bytes);
  let held: Timer | undefined;
  return (bytes) => {
    if (held) {
      clearTimeout(held);
      held = undefined;
      attached.write(Buffer.of(endOfInput));
    }
    const mayBeEnd = bytes.at(-1) === endOfInput;
    const rest = mayBeEnd ? bytes.subarray(0, -1) : bytes;
    if (rest.length > 0) attached.write(rest);
    if (mayBeEnd) held = setTimeout(() => attached.endInput(), silenceAfterEndMs);
  };
}
