import { readdirSync } from "node:fs";
import { join } from "node:path";
import {
  formatKeptLine,
  type LogFilter,
  type LogLine,
  logTime,
  parseLogLine,
  passesFilter,
  splitMessage,
} from "./log-line.ts";
import { type LogBounds, LogSegments, type SegmentPlace, type Skipping } from "./log-segments.ts";
import type { KeptLine, Logs, OutputIntake } from "./logs.ts";
import { linesBegunAt, type OutputLine, type OutputPlace } from "./output-place.ts";

const flushDelayMs = 25;
const retryDelayMs = 1000;
const flushLength = 128 * 1024;
/** Nobody gets more at once: it is held in memory. */
const maxReadLength = 16 * 1024 * 1024;
const sweepEveryMs = 60 * 60_000;
/** Servers that are restarted every day sweep too. */
const firstSweepMs = 60_000;

interface AppLog {
  segments: LogSegments;
  buffer: LogLine[];
  bufferLength: number;
  /** How far the buffered lines bring the outputs of dynos; null for those that are forgotten. */
  places: Map<string, OutputPlace | null>;
  /** Outputs that are read now, and those that nobody read at the last sweep. */
  open: Set<string>;
  unused: Set<string>;
  timer: Timer | undefined;
  /** Whether the disk took nothing the last time, and how many lines that has cost. */
  failing: boolean;
  dropped: { count: number; since: string } | undefined;
  followers: Set<{ filter: LogFilter; onLine: (line: KeptLine) => void }>;
}

/** Keeps each app's log below `dir`, on disk 25 ms after it was said. */
export function createLogs(options: { dir: string; bounds?: Partial<LogBounds> }): Logs {
  const logs = new Map<string, AppLog>();
  const logOf = (appId: string): AppLog => {
    let log = logs.get(appId);
    if (!log) {
      log = {
        segments: new LogSegments(join(options.dir, appId), options.bounds),
        buffer: [],
        bufferLength: 0,
        places: new Map(),
        open: new Set(),
        unused: new Set(),
        timer: undefined,
        failing: false,
        dropped: undefined,
        followers: new Set(),
      };
      logs.set(appId, log);
    }
    return log;
  };
  function sweep(): void {
    for (const appId of foldersIn(options.dir)) {
      const log = logOf(appId);
      log.segments.sweep();
      forgetUnused(log);
    }
  }
  const sweepers = [setTimeout(sweep, firstSweepMs), setInterval(sweep, sweepEveryMs)];
  for (const sweeper of sweepers) sweeper.unref();
  return {
    write(appId, line) {
      const log = logOf(appId);
      if (!isFull(log)) return store(log, line);
      log.dropped ??= { count: 0, since: logTime() };
      log.dropped.count++;
    },
    intake: (appId, output) => outputIntake(logOf(appId), output),
    read(appId, { lines, ...filter }) {
      const log = logOf(appId);
      flush(log);
      return lastLines(log.segments, { lines, filter });
    },
    readAfter(appId, place, { lines, ...filter }) {
      const log = logOf(appId);
      flush(log);
      const after = parsePlace(place);
      if (!after || !log.segments.has(after)) return undefined;
      return linesAfter(log.segments, { after, lines, filter });
    },
    follow(appId, filter, onLine) {
      const log = logOf(appId);
      // What was said before this call is not for this follower.
      flush(log);
      const follower = { filter, onLine };
      log.followers.add(follower);
      return () => log.followers.delete(follower);
    },
    sweep,
    remove(appId) {
      const log = logOf(appId);
      clearTimeout(log.timer);
      logs.delete(appId);
      log.segments.remove();
      return Promise.resolve();
    },
    close() {
      for (const sweeper of sweepers) clearTimeout(sweeper);
      for (const log of logs.values()) {
        flush(log);
        clearTimeout(log.timer);
      }
      return Promise.resolve();
    },
  };
}

function foldersIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    // Nobody has said anything yet.
    return [];
  }
}

/** A disk that takes nothing fills the buffer: a little is kept for when it does. */
function isFull(log: AppLog): boolean {
  return log.failing && log.bufferLength >= flushLength;
}

function store(log: AppLog, line: LogLine): void {
  buffer(log, line);
  flushSoon(log);
}

function buffer(log: AppLog, line: LogLine): void {
  for (const message of splitMessage(line.message)) {
    log.buffer.push(message === line.message ? line : { ...line, message });
    log.bufferLength += message.length + 50;
  }
}

function flushSoon(log: AppLog): void {
  if (log.bufferLength >= flushLength && !log.failing) flush(log);
  else log.timer ??= setTimeout(() => flush(log), log.failing ? retryDelayMs : flushDelayMs);
}

/**
 * Writes at once and in order: a write into the page cache is quicker than the bookkeeping of many
 * unfinished ones. What a full disk does not take stays, and is tried again in a second.
 */
function flush(log: AppLog): void {
  clearTimeout(log.timer);
  log.timer = undefined;
  const { buffer: lines, places } = log;
  if (lines.length === 0 && places.size === 0) return;
  const texts = lines.map((line) => `${formatKeptLine(line)}\n`);
  let begin: SegmentPlace;
  try {
    begin = log.segments.append(texts.join(""), places);
  } catch {
    // Nobody could be told: the log is where one would look.
    log.failing = true;
    return flushSoon(log);
  }
  log.failing = false;
  log.buffer = [];
  log.bufferLength = 0;
  log.places = new Map();
  if (log.followers.size > 0) tellFollowers(log, { lines, texts, begin });
  sayDropped(log);
}

function sayDropped(log: AppLog): void {
  if (!log.dropped) return;
  const { count, since } = log.dropped;
  log.dropped = undefined;
  store(log, overflow(`${count} messages dropped since ${since}: the server's disk was full.`));
}

function tellFollowers(
  log: AppLog,
  { lines, texts, begin }: { lines: LogLine[]; texts: string[]; begin: SegmentPlace },
): void {
  const { segment } = begin;
  let { offset } = begin;
  for (const [index, line] of lines.entries()) {
    offset += Buffer.byteLength(texts[index] ?? "");
    const kept = { ...line, place: formatPlace({ segment, offset }) };
    for (const { filter, onLine } of log.followers)
      if (passesFilter(line, filter)) callFollower(onLine, kept);
  }
}

/** One follower that fails must not cost the others, nor the writer, their line. */
function callFollower(onLine: (line: KeptLine) => void, line: KeptLine): void {
  try {
    onLine(line);
  } catch {
    // Its connection is gone; it will be taken off by whoever serves it.
  }
}

function outputIntake(log: AppLog, { id, dyno }: { id: string; dyno: string }): OutputIntake {
  log.open.add(id);
  let lastAt = logTime();
  const bufferOutput = ({ at, stream, text: message }: OutputLine) =>
    buffer(log, { at, source: "app", dyno, stream, message });
  return {
    from: log.segments.placeOf(id),
    take(lines, place) {
      if (isFull(log)) return false;
      // The lines and their place, then the disk: neither goes there without the other.
      for (const line of lines) bufferOutput(line);
      log.places.set(id, place);
      lastAt = lines.at(-1)?.at ?? lastAt;
      flushSoon(log);
      return true;
    },
    kept: () => log.segments.placeOf(id),
    lost(lines) {
      const messages = lines === undefined ? "an unknown number of messages" : `${lines} messages`;
      store(log, overflow(`${messages} dropped since ${lastAt}: ${dyno} writes too fast.`));
    },
    end() {
      const last = log.places.get(id) ?? log.segments.placeOf(id);
      for (const line of linesBegunAt(last)) bufferOutput(line);
      if (last) log.places.set(id, { file: last.file, offset: last.offset, ended: true });
      log.open.delete(id);
      // At once: what was read goes next.
      flush(log);
    },
  };
}

/** The place of a dyno that has ended stays for a while: a server that dies may find the dyno again. */
function forgetUnused(log: AppLog): void {
  for (const id of log.segments.outputs()) {
    if (log.open.has(id)) log.unused.delete(id);
    else if (!log.unused.has(id)) log.unused.add(id);
    else {
      log.unused.delete(id);
      log.places.set(id, null);
      flushSoon(log);
    }
  }
}

/** Heroku's words for lines that found no room (contract §7.2). */
function overflow(what: string): LogLine {
  const message = `Error L10 (output buffer overflow): ${what}`;
  return { at: logTime(), source: "heroku", dyno: "logplex", message };
}

async function lastLines(
  segments: LogSegments,
  { lines, filter }: { lines: number; filter: LogFilter },
): Promise<KeptLine[]> {
  const found: KeptLine[] = [];
  if (lines <= 0) return found;
  for await (const line of newestFirst(segments, filter, {})) if (found.push(line) >= lines) break;
  return found.reverse();
}

async function linesAfter(
  segments: LogSegments,
  { after, lines, filter }: { after: SegmentPlace; lines: number; filter: LogFilter },
): Promise<{ lines: KeptLine[]; skipped: number }> {
  const found: KeptLine[] = [];
  let skipped = 0;
  let length = 0;
  for await (const line of newestFirst(segments, filter, { after })) {
    length += line.message.length;
    if (found.length < lines && length <= maxReadLength) found.push(line);
    else skipped++;
  }
  return { lines: found.reverse(), skipped };
}

function newestFirst(
  segments: LogSegments,
  filter: LogFilter,
  { after }: Pick<Skipping, "after">,
): AsyncGenerator<KeptLine> {
  const { since, grep, ignoreCase } = filter;
  const blocks = segments.newestFirst({
    after,
    since: since === undefined ? undefined : Date.parse(since),
    needle: grep === undefined || ignoreCase ? undefined : Buffer.from(grep),
  });
  return (async function* () {
    for await (const block of blocks)
      for (const { text, place } of block) {
        const line = parseLogLine(text);
        if (line && passesFilter(line, filter)) yield { ...line, place: formatPlace(place) };
      }
  })();
}

function formatPlace({ segment, offset }: SegmentPlace): string {
  return `${segment}.${offset}`;
}

function parsePlace(text: string): SegmentPlace | undefined {
  const [, segment, offset] = /^(\d{1,8})\.(\d{1,15})$/.exec(text) ?? [];
  return segment === undefined ? undefined : { segment: Number(segment), offset: Number(offset) };
}
