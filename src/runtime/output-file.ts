import { closeSync, openSync, renameSync, writeSync } from "node:fs";

/** Bytes of output on disk before the file is begun anew. */
const maxFileBytes = 64 * 1024 * 1024;
/** Longer lines are written in parts. */
const maxPartBytes = 8192;

export type OutputStream = "stdout" | "stderr";

/** Writes a program's output as conmon does (its `k8s-file` form): time, stream, F(ull) or P(art), text. */
export function openOutputFile(path: string) {
  let file = openSync(path, "a", 0o600);
  let size = 0;

  function append(bytes: Uint8Array): void {
    if (size > maxFileBytes) beginAnew();
    try {
      size += writeSync(file, bytes);
    } catch {
      // The disk is full. The program goes on, as it does without a reader of its log.
    }
  }

  /** Whoever reads the old file has it open, and reads it to its end. */
  function beginAnew(): void {
    const fresh = openSync(`${path}.new`, "w", 0o600);
    renameSync(`${path}.new`, path);
    closeSync(file);
    file = fresh;
    size = 0;
  }

  return {
    /** One of the program's streams; its parts of lines belong together. */
    stream(name: OutputStream) {
      const split = lineSplitter(name);
      return {
        write: (bytes: Uint8Array) => append(split.rows(bytes, new Date())),
        end: () => append(split.end(new Date())),
      };
    },
  };
}

/** Makes rows of a stream's bytes: a line's begin is a row before its end is there. Pure but for what is left over. */
export function lineSplitter(stream: OutputStream) {
  /** Begin of a character whose other bytes are not there yet. */
  let torn: Uint8Array = new Uint8Array();
  let open = false;

  function rows(bytes: Uint8Array, at: Date): Buffer {
    const all = Buffer.concat([torn, bytes]);
    const whole = all.subarray(0, all.length - tornBytes(all));
    torn = Uint8Array.from(all.subarray(whole.length));
    const parts: Uint8Array[] = [];
    const head = `${time(at)} ${stream}`;
    for (let from = 0; from < whole.length;) {
      const end = whole.indexOf(10, from);
      const to = partEnd(whole, from, end < 0 ? whole.length : end);
      open = to !== end;
      parts.push(Buffer.from(`${head} ${open ? "P" : "F"} `), whole.subarray(from, to), newline);
      from = open ? to : to + 1;
    }
    return Buffer.concat(parts);
  }

  return {
    rows,
    /** What is needed so that no line stays a part. */
    end(at: Date): Buffer {
      const last = Buffer.concat([torn, newline]);
      torn = new Uint8Array();
      return open || last.length > 1 ? rows(last, at) : Buffer.alloc(0);
    },
  };
}

const newline = Buffer.from("\n");

/** `2026-11-23T11:14:13.666000000+00:00` */
function time(at: Date): string {
  return `${at.toISOString().slice(0, -1)}000000+00:00`;
}

/** No part ends inside of a character. */
function partEnd(bytes: Buffer, from: number, end: number): number {
  if (end - from <= maxPartBytes) return end;
  const part = bytes.subarray(from, from + maxPartBytes);
  return from + maxPartBytes - tornBytes(part);
}

/** How many bytes at the end begin a UTF-8 character that is longer. */
function tornBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > back ? back : 0;
  }
  return 0;
}
