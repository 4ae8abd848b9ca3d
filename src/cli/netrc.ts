import { chmodSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface NetrcEntry {
  login: string;
  password: string;
}

/** What `~/.netrc` says of a host; git and curl read the same line. */
export function readNetrcEntry(home: string, host: string): NetrcEntry | undefined {
  const text = readText(netrcPath(home)) ?? "";
  const found = entriesOf(text).find((entry) => entry.host === host);
  if (found?.login === undefined || found.password === undefined) return undefined;
  return { login: found.login, password: found.password };
}

/** Puts entries in (or, with null, takes them out); every other byte of the file stays as it is. */
export function writeNetrcEntries(home: string, entries: Record<string, NetrcEntry | null>): void {
  const path = netrcPath(home);
  const before = readText(path) ?? "";
  const after = Object.entries(entries).reduce(
    (text, [host, entry]) => withEntry(text, { host, entry }),
    before,
  );
  if (after !== before) replaceFile(path, after);
}

/** Writes a file that only its owner reads: whole, or not at all. */
export function replaceFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, text, { mode: 0o600 });
  chmodSync(temporary, 0o600);
  renameSync(temporary, path);
}

/** Replaces, appends or removes one entry. Pure. */
export function withEntry(
  text: string,
  { host, entry }: { host: string; entry: NetrcEntry | null },
): string {
  let rest = text;
  let place: number | undefined;
  for (const old of entriesOf(text).toReversed())
    if (old.host === host) {
      rest = rest.slice(0, old.start) + rest.slice(old.end);
      place = old.start;
    }
  if (!entry) return rest;
  const written = `machine ${host}\n  login ${entry.login}\n  password ${entry.password}\n`;
  // What follows `default` is never read, so an entry goes before it.
  place ??= entriesOf(rest).find((other) => other.host === null)?.start ?? rest.length;
  const before = rest.slice(0, place);
  const separator = before === "" || before.endsWith("\n") ? "" : "\n";
  return before + separator + written + rest.slice(place);
}

interface Found {
  /** null for `default`. */
  host: string | null;
  login?: string;
  password?: string;
  start: number;
  end: number;
}

/** The entries of the file and where each stands: from its keyword to the end of the line of its last word. */
function entriesOf(text: string): Found[] {
  const entries: Found[] = [];
  let entry: Found | undefined;
  const words = /#[^\n]*|macdef[^\n]*\n(?:[^\n]+\n?)*|"(?:[^"\\]|\\.)*"|\S+/g;
  const nextWord = () => words.exec(text);
  for (let match = nextWord(); match; match = nextWord()) {
    const [word] = match;
    if (word.startsWith("#") || word.startsWith("macdef")) continue;
    if (word === "machine" || word === "default") {
      entry = { host: null, start: match.index, end: match.index };
      entries.push(entry);
      if (word === "machine") entry.host = valueAfter(text, words) ?? "";
    } else if (entry && (word === "login" || word === "password" || word === "account")) {
      const value = valueAfter(text, words) ?? "";
      if (word !== "account") entry[word] = value;
    } else continue;
    if (entry) entry.end = endOfEntryLine(text, words.lastIndex || text.length);
  }
  return entries;
}

/** The word after a keyword is a value whatever it looks like: passwords may begin with `#`. */
function valueAfter(text: string, words: RegExp): string | undefined {
  const value = /\s*("(?:[^"\\]|\\.)*"|\S+)/y;
  value.lastIndex = words.lastIndex;
  const [, word] = value.exec(text) ?? [];
  words.lastIndex = word === undefined ? text.length : value.lastIndex;
  return word?.startsWith('"') && word.length > 1
    ? word.slice(1, -1).replace(/\\(.)/g, "$1")
    : word;
}

/** Takes the line end with it, but not a comment nor the next entry that stand on the same line. */
function endOfEntryLine(text: string, position: number): number {
  const blank = /[ \t]*\r?\n/y;
  blank.lastIndex = position;
  return blank.test(text) ? blank.lastIndex : position;
}

function netrcPath(home: string): string {
  const path = join(home, ".netrc");
  try {
    // A link to a folder of dot files stays a link.
    return realpathSync(path);
  } catch {
    return path;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
