import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { OutputPlace } from "./output-place.ts";

const mebibyte = 1024 * 1024;
/** A log is cut into so many segments: what goes, goes in eighths of its size or age. */
const segmentsOfLog = 8;
const blockBytes = 64 * 1024;

/** How much of an app's log is kept: whichever is less. */
export interface LogBounds {
  maxBytes: number;
  maxAgeMs: number;
}

const defaultLogBounds: LogBounds = { maxBytes: 64 * mebibyte, maxAgeMs: 7 * 86_400_000 };

/** A place in a log: how far into which segment. */
export interface SegmentPlace {
  segment: number;
  offset: number;
}

export interface FoundLine {
  text: string;
  /** Behind the line. */
  place: SegmentPlace;
}

/** Which lines may be left out before they are looked at. */
export interface Skipping {
  /** Nothing before this place. */
  after?: SegmentPlace | undefined;
  /** Nothing of segments that were last written before this time, in ms. */
  since?: number | undefined;
  /** Nothing of blocks without these bytes. */
  needle?: Buffer | undefined;
}

/** What is written before the lines that it speaks of: it holds once the segment has grown to `after`. */
interface PlacesRecord {
  segment: number;
  before: number;
  after: number;
  places: Record<string, { before?: OutputPlace | undefined; after?: OutputPlace | undefined }>;
}

/**
 * The files of one app's log, `00000001.log` and up (the newest grows, the oldest goes), and `places`:
 * how far the output of each dyno is in them. The two agree after a crash at any instant.
 */
export class LogSegments {
  readonly #folder: string;
  readonly #bounds: LogBounds;
  #places = new Map<string, OutputPlace>();
  /** Where the next line goes; nothing until the folder has been read. */
  #end: SegmentPlace | undefined;
  #bornAt = 0;
  /** Whether `places` on disk speaks of lines that were never written. */
  #placesAreAhead = false;

  constructor(folder: string, bounds: Partial<LogBounds> = {}) {
    this.#folder = folder;
    this.#bounds = { ...defaultLogBounds, ...bounds };
  }

  /** How far the output of a dyno is kept. */
  placeOf(id: string): OutputPlace | undefined {
    this.#load();
    return this.#places.get(id);
  }

  /** The dynos of which it is known how far their output is kept. */
  outputs(): string[] {
    this.#load();
    return [...this.#places.keys()];
  }

  /**
   * Appends whole lines, each with its line end, and with them the places up to which they bring some
   * outputs (null: forgotten). All or nothing, also when this process dies. Returns where the lines
   * begin; throws when the disk does not take them.
   */
  append(text: string, places: ReadonlyMap<string, OutputPlace | null>): SegmentPlace {
    const bytes = Buffer.from(text);
    const begin = this.#makeRoom(bytes.length);
    const after = begin.offset + bytes.length;
    if (places.size > 0 || this.#placesAreAhead) this.#writePlaces(begin, after, places);
    this.#placesAreAhead = true;
    writeWhole(this.#pathOf(begin.segment), bytes, begin.offset);
    this.#placesAreAhead = false;
    this.#end = { segment: begin.segment, offset: after };
    for (const [id, place] of places)
      if (place) this.#places.set(id, place);
      else this.#places.delete(id);
    return begin;
  }

  /** The kept lines as they are now, newest first, block by block. */
  newestFirst(skipping: Skipping = {}): AsyncGenerator<FoundLine[]> {
    const { after, since, needle } = skipping;
    const end = this.#load();
    const segments = this.#numbers()
      .filter((segment) => segment >= (after?.segment ?? 0))
      .map((segment) => ({ segment, stats: this.#statOf(segment) }))
      // A line was said before it was written.
      .filter(({ stats }) => stats && (since === undefined || stats.mtimeMs >= since))
      .map(({ segment, stats }) => ({
        segment,
        start: segment === after?.segment ? after.offset : 0,
        end: segment === end.segment ? end.offset : (stats?.size ?? 0),
        path: this.#pathOf(segment),
      }))
      .reverse();
    return (async function* () {
      for (const segment of segments) yield* linesFromEnd(segment, needle);
    })();
  }

  /** Whether there was such a place in this log. */
  has(place: SegmentPlace): boolean {
    const end = this.#load();
    if (place.segment === end.segment) return place.offset <= end.offset;
    // Of a segment that was swept nobody knows how long it was.
    const { size = Infinity } = this.#statOf(place.segment) ?? {};
    return place.segment < end.segment && place.offset <= size;
  }

  /** Removes what is older or more than is kept. The newest segment's number is never given again. */
  sweep(): void {
    this.#load();
    const oldestMs = Date.now() - this.#bounds.maxAgeMs;
    for (const segment of this.#numbers()) {
      const stats = this.#statOf(segment);
      if (!stats || stats.mtimeMs >= oldestMs) continue;
      if (segment === this.#end?.segment && stats.size > 0) this.#beginSegment(segment + 1);
      if (segment !== this.#end?.segment) rmSync(this.#pathOf(segment), { force: true });
    }
    this.#removeOldest(0);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Reads the folder, once: places that are ahead of the lines, and torn lines, are taken back. */
  #load(): SegmentPlace {
    if (this.#end) return this.#end;
    const segment = this.#numbers().at(-1) ?? 0;
    const stats = this.#statOf(segment);
    const size = stats?.size ?? 0;
    this.#bornAt = stats?.birthtimeMs ?? 0;
    const record = this.#readPlaces();
    const ahead =
      record !== undefined &&
      (record.segment > segment || (record.segment === segment && record.after > size));
    for (const [id, { before, after }] of Object.entries(record?.places ?? {})) {
      const place = ahead ? before : after;
      if (place) this.#places.set(id, place);
    }
    const whole =
      ahead && record.segment === segment
        ? Math.min(record.before, size)
        : endOfWholeLines(this.#pathOf(segment), size);
    if (whole < size) truncateSync(this.#pathOf(segment), whole);
    this.#placesAreAhead = ahead;
    this.#end = { segment, offset: whole };
    return this.#end;
  }

  #makeRoom(bytes: number): SegmentPlace {
    const { maxBytes, maxAgeMs } = this.#bounds;
    const end = this.#load();
    if (end.segment === 0) mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const full = end.offset > 0 && end.offset + bytes > maxBytes / segmentsOfLog;
    const old = Date.now() - this.#bornAt > maxAgeMs / segmentsOfLog;
    if (end.segment > 0 && !full && !(old && end.offset > 0)) return end;
    this.#beginSegment(end.segment + 1);
    this.#removeOldest(bytes);
    return this.#end as SegmentPlace;
  }

  #beginSegment(segment: number): void {
    writeFileSync(this.#pathOf(segment), "", { mode: 0o600, flag: "a" });
    this.#end = { segment, offset: 0 };
    this.#bornAt = Date.now();
  }

  #removeOldest(comingBytes: number): void {
    const segments = this.#numbers().map((segment) => ({
      segment,
      bytes: this.#statOf(segment)?.size ?? 0,
    }));
    let total = segments.reduce((sum, { bytes }) => sum + bytes, comingBytes);
    for (const { segment, bytes } of segments.slice(0, -1)) {
      if (total <= this.#bounds.maxBytes) return;
      rmSync(this.#pathOf(segment), { force: true });
      total -= bytes;
    }
  }

  #writePlaces(
    { segment, offset: before }: SegmentPlace,
    after: number,
    changes: ReadonlyMap<string, OutputPlace | null>,
  ): void {
    const places: PlacesRecord["places"] = {};
    for (const id of new Set([...this.#places.keys(), ...changes.keys()])) {
      const known = this.#places.get(id);
      places[id] = {
        before: known,
        after: changes.has(id) ? (changes.get(id) ?? undefined) : known,
      };
    }
    const record: PlacesRecord = { segment, before, after, places };
    writeFileSync(`${this.#placesPath}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${this.#placesPath}.new`, this.#placesPath);
  }

  #readPlaces(): PlacesRecord | undefined {
    try {
      return JSON.parse(readFileSync(this.#placesPath, "utf8")) as PlacesRecord;
    } catch {
      // None yet, or a power cut has taken it: outputs are read from their beginning, rather twice than never.
      return undefined;
    }
  }

  get #placesPath(): string {
    return join(this.#folder, "places");
  }

  #pathOf(segment: number): string {
    return join(this.#folder, `${String(segment).padStart(8, "0")}.log`);
  }

  #statOf(segment: number): Stats | undefined {
    return statSync(this.#pathOf(segment), { throwIfNoEntry: false });
  }

  #numbers(): number[] {
    try {
      return readdirSync(this.#folder)
        .filter((name) => /^\d{8}\.log$/.test(name))
        .map((name) => Number(name.slice(0, 8)))
        .sort((one, other) => one - other);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }
}

/** Writes all of it or, when the disk is full, takes the rest back. */
function writeWhole(path: string, bytes: Buffer, before: number): void {
  const file = openSync(path, "a", 0o600);
  try {
    for (let written = 0; written < bytes.length;)
      written += writeSync(file, bytes, written, bytes.length - written);
  } catch (error) {
    ftruncateSync(file, before);
    throw error;
  } finally {
    closeSync(file);
  }
}

function endOfWholeLines(path: string, sizeBytes: number): number {
  if (sizeBytes === 0) return 0;
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const block = Buffer.alloc(blockBytes);
    for (let end = size; end > 0; end -= Math.min(end, blockBytes)) {
      const start = Math.max(0, end - blockBytes);
      const length = readSync(file, block, 0, end - start, start);
      const last = block.subarray(0, length).lastIndexOf(10);
      if (last >= 0) return start + last + 1;
    }
    return 0;
  } finally {
    closeSync(file);
  }
}

/** Reads backwards block by block, so that the last lines of a long log cost little. */
async function* linesFromEnd(
  {
    path,
    segment,
    start: first,
    end: last,
  }: { path: string; segment: number; start: number; end: number },
  needle: Buffer | undefined,
): AsyncGenerator<FoundLine[]> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    // Swept since its name was read.
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!file) return;
  try {
    let rest = Buffer.alloc(0);
    for (let end = last; end > first;) {
      const start = Math.max(first, end - blockBytes);
      const block = Buffer.alloc(end - start);
      await file.read(block, 0, block.length, start);
      const bytes = Buffer.concat([block, rest]);
      // The first line of a block began before it.
      const whole = start === first ? 0 : bytes.indexOf(10) + 1;
      if (start > first && whole === 0) rest = bytes;
      else {
        const lines = bytes.subarray(whole);
        if (!needle || lines.includes(needle)) yield linesOf(lines, segment, start + whole);
        rest = bytes.subarray(0, whole);
      }
      end = start;
    }
  } finally {
    await file.close();
  }
}

function linesOf(bytes: Buffer, segment: number, start: number): FoundLine[] {
  const lines: FoundLine[] = [];
  for (let begin = 0; begin < bytes.length;) {
    const found = bytes.indexOf(10, begin);
    const end = found < 0 ? bytes.length : found;
    const place = { segment, offset: start + end + 1 };
    if (end > begin) lines.push({ text: bytes.toString("utf8", begin, end), place });
    begin = end + 1;
  }
  return lines.reverse();
}
