import { type Following, followFile, rowsIn } from "../lib/follow-file.ts";
import { endOfPart, maxMessageBytes } from "../logs/log-line.ts";
import type { OutputLine, OutputPlace } from "../logs/output-place.ts";
import type { OutputIntake } from "../logs/logs.ts";

/**
 * Follows the file that a dyno's monitor writes, into the log. `close` reads what is left first, at
 * once; `await caughtUp()` before it does so without holding up everybody else.
 */
export function tailOutput(path: string, target: OutputIntake): Following {
  const reader = outputReader(target.from?.begun);
  return followFile(path, {
    from: target.from,
    take(rows, { file, offset }) {
      const { lines, begun } = reader.read(rows);
      const taken = target.take(lines, { file, offset, ...(begun && { begun }) });
      if (taken) reader.accept();
      return taken;
    },
    count: (rows) => rowsIn(rows, endsLine),
    kept: () => target.kept(),
    lost: (lines) => target.lost(lines),
  });
}

type Stream = OutputLine["stream"];
/** The beginning of a line of each stream: the monitor reads in pieces, and one stream between the other's. */
type Begun = Partial<Record<Stream, { at: string; bytes: Buffer }>>;

/** Puts the rows of a monitor together to lines. What was read counts when it has been accepted. */
function outputReader(kept: OutputPlace["begun"]) {
  let accepted: Begun = {};
  for (const [stream, { at, bytes }] of Object.entries(kept ?? {}))
    accepted[stream as Stream] = { at, bytes: Buffer.from(bytes, "base64") };
  let next = accepted;
  return {
    read(rows: Buffer): { lines: OutputLine[]; begun: OutputPlace["begun"] } {
      next = { ...accepted };
      const lines: OutputLine[] = [];
      for (let start = 0; start < rows.length;) {
        const found = rows.indexOf(10, start);
        const end = found < 0 ? rows.length : found;
        const row = parseMonitorRow(rows.subarray(start, end));
        if (row) takeRow(row, next, lines);
        start = end + 1;
      }
      return { lines, begun: inBase64(next) };
    },
    accept(): void {
      accepted = next;
    },
  };
}

function takeRow(row: MonitorRow, begun: Begun, lines: OutputLine[]): void {
  const { stream } = row;
  const before = begun[stream];
  const at = before?.at ?? row.at;
  let bytes = before ? Buffer.concat([before.bytes, row.bytes]) : row.bytes;
  delete begun[stream];
  if (!row.partial) {
    lines.push({ at, stream, text: bytes.toString() });
    return;
  }
  // A line that never ends is handed on in the pieces that the log would cut it into.
  while (bytes.length > maxMessageBytes) {
    const end = endOfPart(bytes, 0);
    lines.push({ at, stream, text: bytes.toString("utf8", 0, end) });
    bytes = bytes.subarray(end);
  }
  // The rows lie in a buffer that is used again.
  begun[stream] = { at, bytes: Buffer.from(bytes) };
}

function inBase64(begun: Begun): OutputPlace["begun"] {
  const entries = Object.entries(begun);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(
    entries.map(([stream, { at, bytes }]) => [stream, { at, bytes: bytes.toString("base64") }]),
  );
}

export interface MonitorRow {
  at: string;
  stream: Stream;
  /** Whether the line goes on in the stream's next row. */
  partial: boolean;
  /** A view of the row. */
  bytes: Buffer;
}

const space = 32;
const fields: Record<string, Pick<MonitorRow, "stream" | "partial">> = {
  "stdout F": { stream: "stdout", partial: false },
  "stdout P": { stream: "stdout", partial: true },
  "stderr F": { stream: "stderr", partial: false },
  "stderr P": { stream: "stderr", partial: true },
};

/** Reads a row of conmon's `k8s-file` form: time, stream, whole or part, text. */
export function parseMonitorRow(row: Buffer): MonitorRow | undefined {
  const timeEnd = row.indexOf(space);
  if (timeEnd < 0) return undefined;
  const textStart = timeEnd + 1 + "stdout F".length;
  const field = fields[row.toString("latin1", timeEnd + 1, textStart)];
  const at = timeOf(row.toString("latin1", 0, timeEnd));
  if (!field || !at) return undefined;
  if (row.length > textStart && row[textStart] !== space) return undefined;
  return { at, ...field, bytes: row.subarray(textStart + 1) };
}

function endsLine(rows: Buffer, begin: number): boolean {
  return rows[rows.indexOf(space, begin) + "stdout F".length] === "F".charCodeAt(0);
}

/** The monitor gives all rows that it has read at once the same time. */
let lastTime = { raw: "", at: "" as string | undefined };

function timeOf(raw: string): string | undefined {
  if (raw !== lastTime.raw) lastTime = { raw, at: inMicroseconds(raw) };
  return lastTime.at;
}

/** `2026-11-23T11:14:13.666650744+02:00` → microseconds and UTC. */
function inMicroseconds(raw: string): string | undefined {
  const form = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;
  const [, seconds, fraction = "", zone] = form.exec(raw) ?? [];
  if (seconds === undefined || zone === undefined) return undefined;
  const date = new Date(`${seconds}${zone}`);
  if (Number.isNaN(date.getTime())) return undefined;
  return `${date.toISOString().slice(0, 19)}.${fraction.padEnd(6, "0").slice(0, 6)}+00:00`;
}
