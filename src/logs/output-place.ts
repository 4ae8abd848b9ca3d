import type { Place } from "../lib/follow-file.ts";

/** A line of a dyno's output with the time at which its monitor read it. */
export interface OutputLine {
  at: string;
  stream: "stdout" | "stderr";
  text: string;
}

/** How far a dyno's output is kept, and the beginnings of lines that had no end there, in base64. */
export interface OutputPlace extends Place {
  begun?: Partial<Record<OutputLine["stream"], { at: string; bytes: string }>>;
}

/** The lines that have no end at a place, as far as they go. */
export function linesBegunAt(place: OutputPlace | null | undefined): OutputLine[] {
  return Object.entries(place?.begun ?? {}).map(([stream, { at, bytes }]) => ({
    at,
    stream: stream as OutputLine["stream"],
    text: Buffer.from(bytes, "base64").toString(),
  }));
}
