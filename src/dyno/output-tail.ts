import { tailFile } from "../lib/tail-file.ts";

/** A line of a dyno's output with the time at which its monitor read it. */
export interface OutputLine {
  at: string;
  text: string;
}

/** Lines that never end are handed on in pieces of this length. */
const maxLineLength = 64 * 1024;

/** Follows the file that a monitor writes; `close` reads what is left first. */
export function tailOutput(path: string, onLines: (lines: OutputLine[]) => void) {
  let partial: OutputLine | undefined;
  const tail = tailFile(path, (rows) => {
    const lines: OutputLine[] = [];
    for (const row of rows) {
      const parsed = parseMonitorLine(row);
      if (!parsed) continue;
      const line = partial ? { at: partial.at, text: partial.text + parsed.text } : parsed;
      partial = parsed.partial && line.text.length < maxLineLength ? line : undefined;
      if (!partial) lines.push({ at: line.at, text: line.text });
    }
    if (lines.length > 0) onLines(lines);
  });
  return {
    close(): void {
      tail.close();
      if (partial) onLines([partial]);
      partial = undefined;
    },
  };
}

const monitorLine =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (?:stdout|stderr) ([FP]) ?(.*)$/s;

/** Reads a line of conmon's `k8s-file` form: time, stream, whole or part, text. Pure. */
export function parseMonitorLine(row: string): (OutputLine & { partial: boolean }) | undefined {
  const [, time, part, text] = monitorLine.exec(row) ?? [];
  if (time === undefined || text === undefined) return undefined;
  return { at: inMicroseconds(time), text, partial: part === "P" };
}

/** `2026-11-23T11:14:13.666650744+02:00` → microseconds and UTC. */
function inMicroseconds(time: string): string {
  const [, seconds, fraction = "", zone] = /^(.{19})(?:\.(\d+))?(.*)$/.exec(time) ?? [];
  const utc =
    zone === "+00:00" || zone === "Z"
      ? seconds
      : new Date(`${seconds}${zone}`).toISOString().slice(0, 19);
  return `${utc}.${fraction.padEnd(6, "0").slice(0, 6)}+00:00`;
}
