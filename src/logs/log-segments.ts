import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";

const maxSegmentBytes = 8 * 1024 * 1024;
const segmentsKept = 8;
const blockBytes = 64 * 1024;

/** The files of one app's log, `00000001.log` and up: the newest grows, the oldest goes. */
export class LogSegments {
  readonly #folder: string;
  readonly #maxSegmentBytes: number;
  /** Whether the newest segment ends inside a line: after a crash, or when the disk was full. */
  #torn: boolean | undefined;

  constructor(folder: string, options: { maxSegmentBytes?: number | undefined } = {}) {
    this.#folder = folder;
    this.#maxSegmentBytes = options.maxSegmentBytes ?? maxSegmentBytes;
  }

  /** Appends whole lines, each with its line end. Throws when the disk does not take them. */
  append(text: string): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const file = openSync(join(this.#folder, this.#segmentToGrow()), "a+", 0o600);
    try {
      this.#torn ??= endsInsideLine(file);
      const bytes = Buffer.from(this.#torn ? `\n${text}` : text);
      this.#torn = true;
      for (let written = 0; written < bytes.length;)
        written += writeSync(file, bytes, written, bytes.length - written);
      this.#torn = false;
    } finally {
      closeSync(file);
    }
  }

  /** The kept lines as they are now, newest first. */
  newestFirst(): AsyncGenerator<string> {
    const sizes = this.#names()
      .reverse()
      .map((name) => {
        const path = join(this.#folder, name);
        return { path, sizeBytes: statSync(path, { throwIfNoEntry: false })?.size ?? 0 };
      });
    return (async function* () {
      for (const { path, sizeBytes } of sizes) yield* linesFromEnd(path, sizeBytes);
    })();
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #names(): string[] {
    try {
      return readdirSync(this.#folder)
        .filter((name) => /^\d{8}\.log$/.test(name))
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  #segmentToGrow(): string {
    const names = this.#names();
    const newest = names.at(-1);
    if (newest === undefined) return segmentName(1);
    if (statSync(join(this.#folder, newest)).size < this.#maxSegmentBytes) return newest;
    for (const old of names.slice(0, -(segmentsKept - 1))) rmSync(join(this.#folder, old));
    return segmentName(Number(newest.slice(0, 8)) + 1);
  }
}

function segmentName(number: number): string {
  return `${String(number).padStart(8, "0")}.log`;
}

function endsInsideLine(file: number): boolean {
  const { size } = fstatSync(file);
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  readSync(file, last, 0, 1, size - 1);
  return last[0] !== 0x0a;
}

/** Reads backwards block by block, so that the last lines of a long log cost little. */
async function* linesFromEnd(path: string, sizeBytes: number): AsyncGenerator<string> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    // Swept since its name was read.
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!file) return;
  try {
    let rest = Buffer.alloc(0);
    for (let end = sizeBytes; end > 0;) {
      const start = Math.max(0, end - blockBytes);
      const block = Buffer.alloc(end - start);
      await file.read(block, 0, block.length, start);
      const bytes = Buffer.concat([block, rest]);
      const firstLine = start === 0 ? 0 : bytes.indexOf(0x0a) + 1;
      // No line end in a whole block: the line began before it.
      if (start > 0 && firstLine === 0) rest = bytes;
      else {
        const lines = bytes.toString("utf8", firstLine).split("\n");
        for (const line of lines.reverse()) if (line !== "") yield line;
        rest = bytes.subarray(0, firstLine);
      }
      end = start;
    }
  } finally {
    await file.close();
  }
}
