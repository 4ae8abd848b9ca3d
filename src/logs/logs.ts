import type { LogFilter, LogLine } from "./log-line.ts";

/** The log of every app: lines come in by `write`, are kept on disk within bounds, and are fanned out. */
export interface Logs {
  /** Splits at 10,000 bytes, stores, and hands to followers, in this order. Never throws. */
  write(appId: string, line: LogLine): void;
  /**
   * The last lines that pass the filter, oldest first: all that was written before this call and
   * nothing after it, so that `follow`, called in the same turn, goes on without gap or double.
   */
  read(appId: string, options: { lines: number } & LogFilter): Promise<LogLine[]>;
  /** Hands each new line that passes to `onLine` until the returned function is called. */
  follow(appId: string, filter: LogFilter, onLine: (line: LogLine) => void): () => void;
  /** Forgets an app's log. */
  remove(appId: string): Promise<void>;
  /** Writes out what is buffered. */
  close(): Promise<void>;
}
