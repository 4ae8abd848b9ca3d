import { closeSync, constants, openSync, rmSync } from "node:fs";
import { execNow } from "./exec.ts";

/** The two ends of a pipe, as file descriptors. */
export interface Pipe {
  readEnd: number;
  writeEnd: number;
}

/**
 * Makes a pipe, by way of a path that is free again afterwards. Bun's own pipes are sockets: what
 * opens /dev/stdout gets an error from those, and bash takes one for a login from another machine.
 * The program's end blocks, as programs expect; ours, where it is the one to read, does not.
 */
export function openPipe(path: string, programs: "reads" | "writes"): Pipe {
  execNow(["mkfifo", "-m", "600", path]);
  const opener = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(path, constants.O_WRONLY);
  const readEnd = programs === "reads" ? openSync(path, constants.O_RDONLY) : opener;
  if (readEnd !== opener) closeSync(opener);
  rmSync(path);
  return { readEnd, writeEnd };
}

/** Reads a pipe to its end, no faster than the reader takes it, and closes it. */
export async function drain(
  readEnd: number,
  take: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> {
  for await (const bytes of Bun.file(readEnd).stream()) await take(bytes);
  closeSync(readEnd);
}
