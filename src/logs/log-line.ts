/** One line of an app's log (contract §7.1). */
export interface LogLine {
  /** RFC 3339 with microseconds and `+00:00`. */
  at: string;
  /** `app` for what dynos and the API say, `heroku` for what the platform says of them. */
  source: "app" | "heroku";
  /** `web.1`, `run.1234`, `router`, `api`. */
  dyno: string;
  /** Where a dyno's process wrote it; people see both alike. */
  stream?: "stdout" | "stderr" | undefined;
  message: string;
}

export interface LogFilter {
  source?: "app" | "heroku" | undefined;
  /** A dyno (`web.1`) or a process type (`web`). */
  dyno?: string | undefined;
  /** Nothing that was said before this time, in the form of `LogLine.at`. */
  since?: string | undefined;
  /** A piece of the message, letter by letter: never a pattern, which could take for ever. */
  grep?: string | undefined;
  /** Whether `grep` takes `a` for `A`. */
  ignoreCase?: boolean | undefined;
}

/** The time of a log line, in Heroku's form. */
export function logTime(date: Date = new Date(), microseconds = 0): string {
  return date.toISOString().replace("Z", `${String(microseconds).padStart(3, "0")}+00:00`);
}

/** The line as people read it: `2024-05-01T12:00:00.123456+00:00 app[web.1]: text`. */
export function formatLogLine(line: LogLine): string {
  return `${line.at} ${line.source}[${line.dyno}]: ${line.message}`;
}

/** The line as it is kept: the same, with the number of the stream, as in `app[web.1]2: text`. */
export function formatKeptLine(line: LogLine): string {
  const stream = line.stream === undefined ? "" : line.stream === "stdout" ? "1" : "2";
  return `${line.at} ${line.source}[${line.dyno}]${stream}: ${line.message}`;
}

const form = /^(\S+) (app|heroku)\[([^\]]*)\]([12]?): (.*)$/s;

/** Reads a kept line back; nothing for one that a crash tore off before its message. */
export function parseLogLine(text: string): LogLine | undefined {
  const [, at, source, dyno, stream, message] = form.exec(text) ?? [];
  if (at === undefined || dyno === undefined || message === undefined) return undefined;
  return {
    at,
    source: source === "app" ? "app" : "heroku",
    dyno,
    ...(stream && { stream: stream === "1" ? "stdout" : "stderr" }),
    message,
  };
}

/** Whether a line passes: `web.1` means that dyno, `web` all of the type. */
export function passesFilter(line: LogLine, filter: LogFilter): boolean {
  const { source, dyno, since, grep, ignoreCase } = filter;
  if (source !== undefined && line.source !== source) return false;
  if (dyno !== undefined && line.dyno !== dyno && !line.dyno.startsWith(`${dyno}.`)) return false;
  if (since !== undefined && line.at < since) return false;
  if (grep === undefined) return true;
  return ignoreCase
    ? line.message.toLowerCase().includes(grep.toLowerCase())
    : line.message.includes(grep);
}

/** Longer messages become several lines (contract §7.1). */
export const maxMessageBytes = 10_000;

/** Cuts a message at line ends and at 10,000 bytes, never inside a character (contract §7.1). */
export function splitMessage(message: string): string[] {
  return message.includes("\n")
    ? message.split(/\r?\n/).flatMap(splitLongMessage)
    : splitLongMessage(message);
}

function splitLongMessage(message: string): string[] {
  // A UTF-16 unit is at most 3 bytes: most lines are known to fit without being encoded.
  if (message.length * 3 <= maxMessageBytes) return [message];
  const bytes = Buffer.from(message);
  const parts: string[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = endOfPart(bytes, start);
    parts.push(bytes.toString("utf8", start, end));
    start = end;
  }
  return parts;
}

/** Where a part that begins at `start` ends: at most 10,000 bytes on, and not inside a character. */
export function endOfPart(bytes: Uint8Array, start: number): number {
  const limit = Math.min(start + maxMessageBytes, bytes.length);
  let end = limit;
  while (end < bytes.length && end > start && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  // Bytes that are no text at all are cut anywhere.
  return end === start ? limit : end;
}
