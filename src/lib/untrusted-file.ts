import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/**
 * Reads a file that an app has put somewhere; a link, a pipe or a folder in its place is as good as
 * no file. Returns nothing when there is none; at most `maxBytes` are read.
 */
export function readUntrustedFile(path: string, maxBytes = 1024 * 1024): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const info = fstatSync(file);
    if (!info.isFile()) return undefined;
    const bytes = Buffer.alloc(Math.min(info.size, maxBytes));
    const length = readSync(file, bytes, 0, bytes.length, 0);
    return bytes.subarray(0, length).toString("utf8");
  } finally {
    closeSync(file);
  }
}
