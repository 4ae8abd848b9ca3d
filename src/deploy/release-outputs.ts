import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Release } from "../model/release.ts";

const maxOutputBytes = 20 * 1024 * 1024;

/** The outputs of release commands, a file each. */
export interface ReleaseOutputs {
  /** Begins an output anew. */
  write(release: Release): { add(bytes: Uint8Array): void; end(): void };
  /** What was said so far, and what is said until the end, as it comes. */
  read(release: Release, isOver: () => boolean): ReadableStream<Uint8Array>;
  /** Forgets those of releases that are no more. */
  sweep(keep: ReadonlySet<string>): void;
}

/** Keeps them below `dir`, each up to 20 MB. */
export function createReleaseOutputs(dir: string): ReleaseOutputs {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const pathOf = (release: Pick<Release, "id">) => join(dir, release.id);
  return {
    write(release) {
      const file = openSync(pathOf(release), "w", 0o600);
      let size = 0;
      return {
        add(bytes) {
          if (size > maxOutputBytes) return;
          size += bytes.length;
          try {
            writeSync(file, bytes);
          } catch {
            // A full disk takes the output, not the release.
          }
        },
        end: () => closeSync(file),
      };
    },
    read(release, isOver) {
      return followFile(pathOf(release), isOver);
    },
    sweep(keep) {
      for (const id of readdirSync(dir)) if (!keep.has(id)) rmSync(join(dir, id), { force: true });
    },
  };
}

const lookAgainMs = 200;

function followFile(path: string, isOver: () => boolean): ReadableStream<Uint8Array> {
  let position = 0;
  return new ReadableStream({
    async pull(controller) {
      for (;;) {
        const over = isOver();
        const bytes = existsSync(path)
          ? await Bun.file(path)
              .slice(position, position + 65_536)
              .bytes()
          : new Uint8Array();
        position += bytes.length;
        if (bytes.length > 0) return controller.enqueue(bytes);
        if (over) return controller.close();
        await Bun.sleep(lookAgainMs);
      }
    },
  });
}
