import type { LogFilter, LogLine } from "./log-line.ts";
import type { OutputLine, OutputPlace } from "./output-place.ts";

/** A line with the place behind it in the app's log, as in `12.104857`: what is newer has a later one. */
export interface KeptLine extends LogLine {
  place: string;
}

/**
 * The way into the log for the output of one dyno. The place goes to the disk with the lines, whole or
 * not at all, so that after a crash the reader goes on exactly where the log ends.
 */
export interface OutputIntake {
  /** Where to go on reading. */
  from: OutputPlace | undefined;
  /** Takes lines and the place behind them; false when the disk is full: offer them again later. */
  take(lines: OutputLine[], place: OutputPlace): boolean;
  /** The place that is on disk. */
  kept: () => OutputPlace | undefined;
  /** Says in the log how many lines could not be kept, where that is known (contract §7.2). */
  lost(lines: number | undefined): void;
  /** The dyno has ended: lines without an end are whole now. All is on disk when this returns. */
  end(): void;
}

/** The log of every app: lines come in by `write`, are kept on disk within bounds, and are fanned out. */
export interface Logs {
  /** Splits at 10,000 bytes and stores; on disk, and with the followers, 25 ms later. Never throws. */
  write(appId: string, line: LogLine): void;
  /** Takes the output of the dyno with this id, which the log calls `dyno`. */
  intake(appId: string, options: { id: string; dyno: string }): OutputIntake;
  /**
   * The last lines that pass the filter, oldest first: all that was written before this call and
   * nothing after it, so that `follow`, called in the same turn, goes on without gap or double.
   */
  read(appId: string, options: { lines: number } & LogFilter): Promise<KeptLine[]>;
  /**
   * The same for what is behind a place: the last `lines` of it, and how many more there were.
   * Nothing when there is no such place.
   */
  readAfter(
    appId: string,
    place: string,
    options: { lines: number } & LogFilter,
  ): Promise<{ lines: KeptLine[]; skipped: number }> | undefined;
  /** Hands each new line that passes, once it is on disk, to `onLine` until the returned function is called. */
  follow(appId: string, filter: LogFilter, onLine: (line: KeptLine) => void): () => void;
  /** Removes what is older or more than is kept; done every hour by itself. */
  sweep(): void;
  /** Forgets an app's log. */
  remove(appId: string): Promise<void>;
  /** Writes out what is buffered. */
  close(): Promise<void>;
}
