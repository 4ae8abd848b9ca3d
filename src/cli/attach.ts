import { reach } from "../api/client.ts";
import { CommandFailure } from "./failures.ts";

/** What may wait to be sent; standard input is not read on until it is less. */
const maxWaitingBytes = 1024 * 1024;

/** Connects this process's input and output to a dyno; returns the dyno's exit status. */
export async function attach(options: {
  address: string;
  token: string;
  dyno: string;
  terminal: boolean;
}): Promise<number> {
  const { address, token, dyno, terminal } = options;
  const { url, headers } = reach(address);
  const socket = new WebSocket(url, {
    headers: { ...headers, Authorization: `Bearer ${token}` },
  } as never);
  socket.binaryType = "arraybuffer";
  let release = () => {};
  socket.addEventListener("open", () => {
    if (terminal) release = handOverTerminal(socket);
    else void sendInput(socket);
  });
  try {
    const { status, reason } = await receive(socket);
    if (status === undefined)
      throw new CommandFailure(
        reason === ""
          ? `The connection to ${dyno} was lost before its end.`
          : `The server closed the connection to ${dyno}: ${reason}.`,
      );
    return status;
  } finally {
    release();
    socket.close();
    process.stdin.pause();
  }
}

/** Writes what comes to standard output until the exit status does; why the end came, without one. */
function receive(socket: WebSocket): Promise<{ status: number | undefined; reason: string }> {
  let status: number | undefined;
  let written: Promise<void> = Promise.resolve();
  return new Promise((resolve) => {
    socket.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (typeof data === "string") status = (JSON.parse(data) as { exit?: number }).exit ?? status;
      else written = writeOut(new Uint8Array(data));
      // The status comes after the last byte; the connection's own end may be long in coming.
      if (status !== undefined) socket.close();
    });
    socket.addEventListener(
      "close",
      ({ reason }) => void written.then(() => resolve({ status, reason })),
    );
  });
}

/** Resolves when the bytes are out: a process that ends earlier would cut them off. */
function writeOut(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => process.stdout.write(bytes, () => resolve()));
}

async function sendInput(socket: WebSocket): Promise<void> {
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(chunk as Uint8Array<ArrayBuffer>);
    while (socket.bufferedAmount > maxWaitingBytes) await Bun.sleep(2);
  }
  socket.send(JSON.stringify({ eof: true }));
}

/** Each key goes to the dyno as it is, Ctrl-C too; returns the way back. */
function handOverTerminal(socket: WebSocket): () => void {
  const { stdin, stdout } = process;
  const sendSize = () =>
    socket.send(JSON.stringify({ resize: { columns: stdout.columns, lines: stdout.rows } }));
  const sendKeys = (keys: Uint8Array) => socket.send(keys as Uint8Array<ArrayBuffer>);
  stdin.setRawMode(true);
  stdin.on("data", sendKeys);
  stdin.resume();
  stdout.on("resize", sendSize);
  sendSize();
  return () => {
    stdin.off("data", sendKeys);
    stdout.off("resize", sendSize);
    stdin.setRawMode(false);
  };
}
