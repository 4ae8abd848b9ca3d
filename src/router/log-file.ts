import { appendFile, rename, stat } from "node:fs/promises";

export interface LogFile {
  write(entry: { app: string; at: string; line: string }): void;
  /** Writes what is waiting; resolves when it is on disk. */
  flush(): Promise<void>;
}

/** More than this is not kept waiting for a disk that takes nothing. */
const maxWaitingBytes = 16 * 1_024 * 1_024;

const usualMaxBytes = 16 * 1_024 * 1_024;

/** Gives a file that is full another name, so that the next writer begins a new one. */
export async function turnOverWhenFull(path: string, maxBytes = usualMaxBytes): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size >= maxBytes) await rename(path, `${path}.1`);
}

/**
 * One JSON object a line, written together at most `delayMs` later; at `maxBytes` the file is
 * renamed to `.1` and a new one begun, so that a reader that holds the old one can finish it.
 */
export function openLogFile(
  path: string,
  options: { delayMs?: number; maxBytes?: number } = {},
): LogFile {
  const { delayMs = 50, maxBytes = usualMaxBytes } = options;
  let waiting = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  let writing: Promise<void> = Promise.resolve();

  async function writeOut(text: string): Promise<void> {
    try {
      await turnOverWhenFull(path, maxBytes);
      await appendFile(path, text, { mode: 0o600 });
    } catch {
      // A full disk costs log lines, never requests.
    }
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const text = waiting;
    waiting = "";
    if (text !== "") writing = writing.then(() => writeOut(text));
    return writing;
  }

  return {
    write(entry) {
      if (waiting.length > maxWaitingBytes) return;
      waiting += `${JSON.stringify(entry)}\n`;
      timer ??= setTimeout(() => void flush(), delayMs);
    },
    flush,
  };
}
