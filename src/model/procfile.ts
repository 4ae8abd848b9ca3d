import type { ProcessTypes } from "./slug.ts";

const line = /^([A-Za-z0-9_-]{1,128}):[ \t]*(.*\S)[ \t]*$/;

/**
 * Reads a Procfile (contract §1.1): one `type: command` a line; blank lines, comments and lines
 * that do not match are passed over; CRLF and a byte order mark are tolerated; the last one of a
 * type wins.
 */
export function parseProcfile(text: string): ProcessTypes {
  const types: ProcessTypes = Object.create(null) as ProcessTypes;
  for (const raw of text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/)) {
    const [, type, command] = line.exec(raw.trim()) ?? [];
    if (type !== undefined && command !== undefined && !command.includes("\0"))
      types[type] = command;
  }
  return { ...types };
}
