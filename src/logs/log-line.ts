/** One line of an app's log (contract §7.1). */
export interface LogLine {
  /** RFC 3339 with microseconds and `+00:00`. */
  at: string;
  /** `app` for what dynos and the API say, `heroku` for what the platform says of them. */
  source: "app" | "heroku";
  /** `web.1`, `run.1234`, `router`, `api`. */
  dyno: string;
  message: string;
}

export interface LogFilter {
  source?: "app" | "heroku" | undefined;
  /** A dyno (`web.1`) or a process type (`web`). */
  dyno?: string | undefined;
}

/** The time of a log line, in Heroku's form. */
export function logTime(date: Date = new Date(), microseconds = 0): string {
  return date.toISOString().replace("Z", `${String(microseconds).padStart(3, "0")}+00:00`);
}

/** The line as people read it and as it is kept: `2024-05-01T12:00:00.123456+00:00 app[web.1]: text`. */
export function formatLogLine(line: LogLine): string {
  return `${line.at} ${line.source}[${line.dyno}]: ${line.message}`;
}

const form = /^(\S+) (app|heroku)\[([^\]]*)\]: (.*)$/s;

/** Reads a kept line back; nothing for one that a crash tore off before its message. */
export function parseLogLine(text: string): LogLine | undefined {
  const [, at, source, dyno, message] = form.exec(text) ?? [];
  if (at === undefined || dyno === undefined || message === undefined) return undefined;
  return { at, source: source === "app" ? "app" : "heroku", dyno, message };
}

/** Whether a line passes: `web.1` means that dyno, `web` all of the type. */
export function passesFilter(line: LogLine, { source, dyno }: LogFilter): boolean {
  if (source !== undefined && line.source !== source) return false;
  return dyno === undefined || line.dyno === dyno || line.dyno.startsWith(`${dyno}.`);
}

const maxMessageBytes = 10_000;

/** Cuts a message at line ends and at 10,000 bytes, never inside a character (contract §7.1). */
export function splitMessage(message: string): string[] {
  return message.split(/\r?\n/).flatMap(splitLongMessage);
}

function splitLongMessage(message: string): string[] {
  // A UTF-16 unit is at most 3 bytes: most lines are known to fit without being encoded.
  if (message.length * 3 <= maxMessageBytes) return [message];
  const bytes = Buffer.from(message);
  const parts: string[] = [];
  for (let start = 0; start < bytes.length;) {
    let end = Math.min(start + maxMessageBytes, bytes.length);
    while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
    parts.push(bytes.toString("utf8", start, end));
    start = end;
  }
  return parts;
}
