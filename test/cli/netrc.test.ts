import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readNetrcEntry, withEntry, writeNetrcEntries } from "../../src/cli/netrc.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "stator-netrc-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const entry = { login: "me@example.com", password: "STTR-1" };
const written = "machine api.x\n  login me@example.com\n  password STTR-1\n";
const others = `# my hosts
machine github.com login me password #secret machine-like
# between
machine "quoted.host"
\tlogin "a b"
\tpassword "c\\"d"
macdef init
machine api.x
password no

machine other.org login x password y # trailing`;

test("a first entry makes the file, for its owner only", () => {
  writeNetrcEntries(home, { "api.x": entry });
  expect(readFileSync(join(home, ".netrc"), "utf8")).toBe(written);
  expect(statSync(join(home, ".netrc")).mode & 0o777).toBe(0o600);
  expect(readNetrcEntry(home, "api.x")).toEqual(entry);
});

test("other entries, comments and macros stay as they are, byte by byte", () => {
  const added = withEntry(others, { host: "api.x", entry });
  expect(added).toBe(`${others}\n${written}`);
  expect(withEntry(added, { host: "api.x", entry: null })).toBe(`${others}\n`);
  const changed = withEntry(`${written}${others}`, {
    host: "api.x",
    entry: { login: "you@example.com", password: "STTR-2" },
  });
  expect(changed).toBe(`machine api.x\n  login you@example.com\n  password STTR-2\n${others}`);
});

test("entries are read as git reads them: on one line, on several, quoted", () => {
  writeFileSync(join(home, ".netrc"), others);
  expect(readNetrcEntry(home, "github.com")).toEqual({ login: "me", password: "#secret" });
  expect(readNetrcEntry(home, "quoted.host")).toEqual({ login: "a b", password: 'c"d' });
  expect(readNetrcEntry(home, "other.org")).toEqual({ login: "x", password: "y" });
  expect(readNetrcEntry(home, "api.x")).toBeUndefined();
  expect(readNetrcEntry(home, "nowhere")).toBeUndefined();
});

test("an entry goes before default, which ends the search", () => {
  expect(
    withEntry("machine a login b password c\ndefault login d password e\n", {
      host: "api.x",
      entry,
    }),
  ).toBe(`machine a login b password c\n${written}default login d password e\n`);
});

test("one that stands twice is left once", () => {
  const twice = `machine api.x login a password b\nmachine z login z password z\nmachine api.x login c password d\n`;
  expect(withEntry(twice, { host: "api.x", entry })).toBe(
    `${written}machine z login z password z\n`,
  );
});

test("a link stays a link", () => {
  writeFileSync(join(home, "real"), "machine a login b password c\n", { mode: 0o644 });
  symlinkSync("real", join(home, ".netrc"));
  writeNetrcEntries(home, { "api.x": entry });
  expect(lstatSync(join(home, ".netrc")).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(home, "real"), "utf8")).toEndWith(written);
  expect(statSync(join(home, "real")).mode & 0o777).toBe(0o600);
});
