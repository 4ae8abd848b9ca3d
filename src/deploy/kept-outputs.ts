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

const maxOutputBytes = 20 * 1024 * 1024;

/** What builds, or release commands, have said: a file each, named by its id. */
export interface KeptOutputs {
  /** Begins an output anew. */
  write(of: { id: string }): { add(bytes: Uint8Array): void; end(): void };
  /** What was said so far, and what is said until the end, as it comes. */
  read(
    of: { id: string },
    isOver: () => boolean,
    options?: { heartbeatMs?: number },
  ): ReadableStream<Uint8Array>;
  forget(ids: string[]): void;
  /** Forgets those that are outdated. */
  sweep(outdated: (ids: string[]) => string[]): void;
}

/** Keeps them below `dir`, each up to 20 MB. */
export function createKeptOutputs(dir: string): KeptOutputs {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const pathOf = ({ id }: { id: string }) => join(dir, id);
  function forget(ids: string[]): void {
    for (const id of ids) rmSync(pathOf({ id }), { force: true });
  }
  return {
    forget,
    write(of) {
      const file = openSync(pathOf(of), "w", 0o600);
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
    read(of, isOver, { heartbeatMs = Number.POSITIVE_INFINITY } = {}) {
      return followFile(pathOf(of), isOver, heartbeatMs);
    },
    sweep: (outdated) => forget(outdated(readdirSync(dir))),
  };
}

const lookAgainMs = 200;

/** With a heartbeat, a NUL comes after so long without a word: it holds connections open. */
function followFile(
  path: string,
  isOver: () => boolean,
  heartbeatMs: number,
): ReadableStream<Uint8Array> {
  let position = 0;
  let quietMs = 0;
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
        if (bytes.length > 0) {
          quietMs = 0;
          return controller.enqueue(bytes);
        }
        if (over) return controller.close();
        await Bun.sleep(lookAgainMs);
        quietMs += lookAgainMs;
        if (quietMs < heartbeatMs) continue;
        quietMs = 0;
        return controller.enqueue(Uint8Array.of(0));
      }
    },
  });
}
