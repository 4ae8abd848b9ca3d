import {
  closeSync,
  type FSWatcher,
  fstatSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  watch,
} from "node:fs";
import { basename, dirname } from "node:path";

/** A place in a file that its writer replaces now and then: which file, and how far into it. */
export interface Place {
  file: string;
  offset: number;
  /** Whether the writer had ended there: the next one's file is another, and nothing lies between. */
  ended?: boolean;
}

export interface FollowOptions {
  /** Where the last reader stopped; without it from the beginning. */
  from?: Place | undefined;
  /**
   * Takes whole rows with their line ends, and the place behind them. The bytes are valid during the
   * call only. `false`: not now; the same rows are offered again a second later.
   */
  take(rows: Buffer, place: Place): boolean;
  /** The place up to which all is safe from this process's death; without it what is taken is. */
  kept?: () => Place | undefined;
  /** Told of rows that were gone before they could be read; their number where it is known. */
  lost?(rows: number | undefined): void;
  /** How many there are in some whole rows, for `lost`; one each without it. */
  count?: (rows: Buffer) => number;
}

export interface Following {
  /** Resolves when all that is in the file now has been taken. */
  caughtUp(): Promise<void>;
  /** Takes what is left, at once, and lets go of the file. */
  close(): void;
}

const chunkBytes = 128 * 1024;
const pollMs = 1000;
/** Writers write in small pieces: a moment later there is more to take at once. */
const gatherMs = 5;
/** All followers together work this long, then rest as long: others get the loop, and half of the core. */
const sliceMs = 4;
/** Files that wait behind the one that is read; a writer that goes faster loses the ones after them. */
const filesHeld = 2;
/** What the file system's clock may be off between the birth of a file and the end of another's name. */
const clockStepMs = 10;

const followers = new Set<Follower>();
const ready = new Set<Follower>();
const chunk = Buffer.alloc(chunkBytes);
let turn: Timer | undefined;
let poll: Timer | undefined;

/**
 * Follows a file that another process appends to and, at some size, replaces by a new one (as conmon
 * 2.1 does: it writes `PATH.tmp` and renames it over the full one, which is gone then). To have the
 * rest of a full one also after a crash, hard links hold the file that is read (`PATH.reading`) and
 * the one after it (`PATH.next`). All followers of the process take turns, a chunk each.
 */
export function followFile(path: string, options: FollowOptions): Following {
  const follower = new Follower(path, options);
  followers.add(follower);
  poll ??= setInterval(pollAll, pollMs);
  wake(follower);
  return {
    async caughtUp() {
      if (followers.has(follower)) wake(follower);
      while (ready.has(follower)) await Bun.sleep(gatherMs);
    },
    close() {
      if (!followers.delete(follower)) return;
      ready.delete(follower);
      if (followers.size === 0) {
        clearInterval(poll);
        poll = undefined;
      }
      while (follower.step());
      follower.close();
    },
  };
}

function wake(follower: Follower): void {
  ready.add(follower);
  turn ??= setTimeout(takeTurns, gatherMs);
}

/** One chunk of each in turn: a set keeps the order of coming, and who has more goes to its end. */
function takeTurns(): void {
  const begin = performance.now();
  let workedMs = 0;
  for (const follower of ready) {
    ready.delete(follower);
    if (follower.step()) ready.add(follower);
    workedMs = performance.now() - begin;
    if (workedMs > sliceMs) break;
  }
  turn = ready.size > 0 ? setTimeout(takeTurns, workedMs) : undefined;
}

function pollAll(): void {
  for (const follower of followers) {
    follower.watch(() => wake(follower));
    if (follower.hasNews()) wake(follower);
  }
}

interface OpenFile {
  file: number;
  id: string;
  /** Rows between the file before this one and this one that nobody will read; undefined: unknown. */
  lostBefore?: Promise<number | undefined>;
}

class Follower {
  readonly #path: string;
  readonly #options: FollowOptions;
  #current: OpenFile | undefined;
  #offset = 0;
  /** Newer files than the current one, oldest first. */
  #later: OpenFile[] = [];
  /** Whether `PATH.reading` is still the file before the current one. */
  #holdsLast = false;
  #watcher: FSWatcher | undefined;

  constructor(path: string, options: FollowOptions) {
    this.#path = path;
    this.#options = options;
    this.watch(() => wake(this));
  }

  /** Watches the folder: it stays when the file is replaced, and is there before the file. */
  watch(onChange: () => void): void {
    try {
      const name = basename(this.#path);
      this.#watcher ??= watch(dirname(this.#path), (_event, changed) => {
        if (changed === name && followers.has(this)) onChange();
      });
    } catch {
      // Not there yet, or no watches left: there is the poll.
    }
  }

  /** One call of the system: this is what an idle file costs each second. */
  hasNews(): boolean {
    const found = statSync(this.#path, { throwIfNoEntry: false });
    if (!found) return this.#later.length > 0;
    this.#letGoOfLast();
    return idOf(found) !== this.#current?.id || found.size > this.#offset;
  }

  /** Takes one chunk; returns whether there may be more at once. */
  step(): boolean {
    const current = (this.#current ??= this.#openFirst());
    if (!current) return false;
    this.#lookForLater(current);
    const length = readSync(current.file, chunk, 0, chunkBytes, this.#offset);
    const rows = wholeRows(chunk.subarray(0, length));
    if (rows.length > 0) {
      const place = { file: current.id, offset: this.#offset + rows.length };
      if (!this.#options.take(rows, place)) return false;
      this.#offset = place.offset;
      return length === chunkBytes || this.#later.length > 0;
    }
    // What was replaced before this read found nothing gets no more rows.
    return this.#turnToNext();
  }

  close(): void {
    this.#watcher?.close();
    for (const { file } of [this.#current, ...this.#later].filter((one) => one !== undefined))
      closeSync(file);
  }

  #openFirst(): OpenFile | undefined {
    const { from } = this.#options;
    const names = [this.#readingPath, this.#nextPath, this.#path];
    const found = names.map((name) => tryOpen(name)).filter((one) => one !== undefined);
    const known = found.findIndex(({ id }) => id === from?.file);
    for (const { file } of found.splice(0, Math.max(0, known))) closeSync(file);
    const [first] = found;
    if (first && from && known < 0 && !from.ended) this.#options.lost?.(undefined);
    if (from && known >= 0) this.#offset = from.offset;
    for (const one of found.slice(1)) {
      const last = this.#later.at(-1) ?? first;
      if (one.id === last?.id) closeSync(one.file);
      else this.#takeUp(one, last);
    }
    this.#current = first;
    this.#holdFiles();
    return first;
  }

  #lookForLater(current: OpenFile): void {
    const last = this.#later.at(-1) ?? current;
    const found = statSync(this.#path, { throwIfNoEntry: false });
    if (!found) return;
    if (idOf(found) === last.id) {
      if (last === current && found.size < this.#offset) this.#offset = 0;
      return;
    }
    const later = tryOpen(this.#path);
    if (!later) return;
    this.#takeUp(later, last);
    this.#letGoOfLast();
    this.#holdFiles();
  }

  /** Adds a newer file. Nobody waits for more than two: of what then goes, the rows are counted. */
  #takeUp(later: OpenFile, last: OpenFile | undefined): void {
    if (last && !followsOn(last, later)) later.lostBefore = Promise.resolve(undefined);
    if (this.#later.length === filesHeld) {
      const gone = this.#later.pop();
      if (gone)
        later.lostBefore = sumOf([
          gone.lostBefore,
          countRows(gone.file, this.#options.count),
          later.lostBefore,
        ]);
    }
    this.#later.push(later);
  }

  #turnToNext(): boolean {
    const next = this.#later.shift();
    if (!next || !this.#current) return false;
    closeSync(this.#current.file);
    this.#holdsLast = true;
    // Where the gap is, it is told.
    void next.lostBefore?.then((rows) => this.#options.lost?.(rows));
    this.#current = next;
    this.#offset = 0;
    this.#letGoOfLast();
    return true;
  }

  /** The last file goes when a place in the current one is kept. */
  #letGoOfLast(): void {
    if (!this.#holdsLast) return;
    const { kept } = this.#options;
    if (kept && kept()?.file !== this.#current?.id) return;
    this.#holdsLast = false;
    this.#holdFiles();
  }

  /** Makes the two names those of the file that is read and of the next one. */
  #holdFiles(): void {
    if (this.#holdsLast) return;
    this.#hold(this.#current, this.#readingPath);
    this.#hold(this.#later[0], this.#nextPath);
  }

  /** Where links cannot be made, a crash costs the rest of a replaced file, and no more. */
  #hold(file: OpenFile | undefined, name: string): void {
    if (file && idAt(name) === file.id) return;
    try {
      if (file && idAt(this.#nextPath) === file.id) return renameSync(this.#nextPath, name);
      rmSync(name, { force: true });
      if (!file || idAt(this.#path) !== file.id) return;
      linkSync(this.#path, name);
      // Replaced between the look and the link.
      if (idAt(name) !== file.id) rmSync(name);
    } catch {
      return;
    }
  }

  get #readingPath(): string {
    return `${this.#path}.reading`;
  }

  get #nextPath(): string {
    return `${this.#path}.next`;
  }
}

function tryOpen(path: string): OpenFile | undefined {
  try {
    const file = openSync(path, "r");
    return { file, id: idOf(fstatSync(file)) };
  } catch {
    // Not there yet, or no descriptor left: the poll tries again.
    return undefined;
  }
}

/** A number of a file is given again as soon as the file is gone; its time of birth is not. */
function idOf(stats: Stats): string {
  return `${stats.ino}-${stats.birthtimeMs}`;
}

function idAt(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats && idOf(stats);
}

/**
 * Whether nothing lay between two files: the first lost its name (which changes its ctime) when the
 * second, just born, took it.
 */
function followsOn(earlier: OpenFile, later: OpenFile): boolean {
  const { birthtimeMs } = fstatSync(later.file);
  return birthtimeMs - fstatSync(earlier.file).ctimeMs < clockStepMs;
}

/** Up to the last line end. A row that fills the whole chunk without one is taken as it is. */
function wholeRows(bytes: Buffer): Buffer {
  const end = bytes.lastIndexOf(10) + 1;
  return end === 0 && bytes.length === chunkBytes ? bytes : bytes.subarray(0, end);
}

async function sumOf(counts: (Promise<number | undefined> | undefined)[]) {
  const known = await Promise.all(counts.filter((count) => count !== undefined));
  return known.reduce((sum: number | undefined, count) =>
    sum === undefined || count === undefined ? undefined : sum + count,
  );
}

async function countRows(
  file: number,
  count: (rows: Buffer) => number = (rows) => rowsIn(rows, () => true),
): Promise<number> {
  const bytes = Buffer.alloc(chunkBytes);
  let counted = 0;
  for (let offset = 0; ;) {
    const rows = wholeRows(bytes.subarray(0, readSync(file, bytes, 0, chunkBytes, offset)));
    if (rows.length === 0) break;
    offset += rows.length;
    counted += count(rows);
    await Bun.sleep(1);
  }
  closeSync(file);
  return counted;
}

/** Counts the rows that begin at a place where `counts` says so. */
export function rowsIn(rows: Buffer, counts: (rows: Buffer, begin: number) => boolean): number {
  let counted = 0;
  for (let begin = 0; begin < rows.length;) {
    if (counts(rows, begin)) counted++;
    const end = rows.indexOf(10, begin);
    begin = end < 0 ? rows.length : end + 1;
  }
  return counted;
}
