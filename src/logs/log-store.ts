import { join } from "node:path";
import {
  formatLogLine,
  type LogFilter,
  type LogLine,
  parseLogLine,
  passesFilter,
  splitMessage,
} from "./log-line.ts";
import { LogSegments } from "./log-segments.ts";
import type { Logs } from "./logs.ts";

const flushDelayMs = 25;
const flushLength = 256 * 1024;

interface AppLog {
  segments: LogSegments;
  buffer: string[];
  bufferLength: number;
  timer: Timer | undefined;
  followers: Set<{ filter: LogFilter; onLine: (line: LogLine) => void }>;
}

/** Keeps each app's log below `dir`: at most 8 segments of 8 MB, on disk 25 ms after it was said. */
export function createLogs(options: { dir: string; maxSegmentBytes?: number }): Logs {
  const logs = new Map<string, AppLog>();
  const logOf = (appId: string): AppLog => {
    let log = logs.get(appId);
    if (!log) {
      const segments = new LogSegments(join(options.dir, appId), options);
      log = { segments, buffer: [], bufferLength: 0, timer: undefined, followers: new Set() };
      logs.set(appId, log);
    }
    return log;
  };
  return {
    write(appId, line) {
      const log = logOf(appId);
      for (const message of splitMessage(line.message)) {
        const part = { ...line, message };
        store(log, part);
        for (const { filter, onLine } of log.followers)
          if (passesFilter(part, filter)) callFollower(onLine, part);
      }
    },
    read(appId, { lines, ...filter }) {
      const log = logOf(appId);
      flush(log);
      return lastLines(log.segments.newestFirst(), { lines, filter });
    },
    follow(appId, filter, onLine) {
      const { followers } = logOf(appId);
      const follower = { filter, onLine };
      followers.add(follower);
      return () => followers.delete(follower);
    },
    remove(appId) {
      const log = logOf(appId);
      clearTimeout(log.timer);
      logs.delete(appId);
      log.segments.remove();
      return Promise.resolve();
    },
    close() {
      for (const log of logs.values()) flush(log);
      return Promise.resolve();
    },
  };
}

function store(log: AppLog, line: LogLine): void {
  const text = `${formatLogLine(line)}\n`;
  log.buffer.push(text);
  log.bufferLength += text.length;
  if (log.bufferLength >= flushLength) flush(log);
  else log.timer ??= setTimeout(() => flush(log), flushDelayMs);
}

/**
 * Writes at once and in order: a write into the page cache is quicker than the bookkeeping of many
 * unfinished ones. What a full disk does not take is lost; the dyno that said it goes on.
 */
function flush(log: AppLog): void {
  clearTimeout(log.timer);
  log.timer = undefined;
  if (log.buffer.length === 0) return;
  const text = log.buffer.join("");
  log.buffer = [];
  log.bufferLength = 0;
  try {
    log.segments.append(text);
  } catch {
    // Nobody could be told: the log is where one would look.
  }
}

/** One follower that fails must not cost the others, nor the writer, their line. */
function callFollower(onLine: (line: LogLine) => void, line: LogLine): void {
  try {
    onLine(line);
  } catch {
    // Its connection is gone; it will be taken off by whoever serves it.
  }
}

async function lastLines(
  newestFirst: AsyncGenerator<string>,
  { lines, filter }: { lines: number; filter: LogFilter },
): Promise<LogLine[]> {
  const found: LogLine[] = [];
  if (lines <= 0) return found;
  for await (const text of newestFirst) {
    const line = parseLogLine(text);
    if (!line || !passesFilter(line, filter)) continue;
    found.push(line);
    if (found.length >= lines) break;
  }
  return found.reverse();
}
