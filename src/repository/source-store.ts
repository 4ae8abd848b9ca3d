import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../lib/platform-error.ts";

/** What somebody uploads to build from it, or to release it: archives that are there for some hours. */
export interface SourceStore {
  /** Takes the bytes of an upload whole, or not at all. */
  put(id: string, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** The bytes, or nothing when there are none (any more). */
  open(id: string): Blob | undefined;
  /** Where they are, or nothing. */
  find(id: string): string | undefined;
  remove(id: string): void;
}

/** As large as the largest push. */
const maxSourceBytes = 2 * 1024 * 1024 * 1024;
const lifeMs = 6 * 60 * 60_000;

export function createSourceStore(
  dir: string,
  { freeDiskBytes, minFreeDiskBytes }: { freeDiskBytes: () => number; minFreeDiskBytes: number },
): SourceStore {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const pathOf = (id: string) => join(dir, id);

  function sweep(): void {
    for (const name of readdirSync(dir)) {
      const info = statSync(join(dir, name), { throwIfNoEntry: false });
      if (info && Date.now() - info.mtimeMs > lifeMs) rmSync(join(dir, name), { force: true });
    }
  }

  return {
    async put(id, bytes) {
      sweep();
      const partial = `${pathOf(id)}.${crypto.randomUUID()}`;
      const file = openSync(partial, "w", 0o600);
      let size = 0;
      try {
        for await (const chunk of bytes) {
          size += chunk.length;
          if (size > maxSourceBytes)
            throw new PlatformError("invalid_params", "The archive is larger than 2 GB.");
          if (freeDiskBytes() < minFreeDiskBytes)
            throw new PlatformError(
              "unavailable",
              "The disk of the platform is full: nothing can be uploaded. Free some space on the server.",
            );
          writeSync(file, chunk);
        }
        fsyncSync(file);
        renameSync(partial, pathOf(id));
      } finally {
        closeSync(file);
        rmSync(partial, { force: true });
      }
    },
    find: (id) => (existsSync(pathOf(id)) ? pathOf(id) : undefined),
    open: (id) => (existsSync(pathOf(id)) ? Bun.file(pathOf(id)) : undefined),
    remove: (id) => rmSync(pathOf(id), { force: true }),
  };
}
