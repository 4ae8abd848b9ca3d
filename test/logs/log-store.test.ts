import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import { type LogFilter, type LogLine, logTime } from "../../src/logs/log-line.ts";
import { createLogs } from "../../src/logs/log-store.ts";
import type { KeptLine } from "../../src/logs/logs.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "stator-logs-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const line = (message: string, change: Partial<LogLine> = {}): LogLine => ({
  at: logTime(),
  source: "app",
  dyno: "web.1",
  message,
  ...change,
});
const plain = (lines: LogLine[]) =>
  lines.map(({ at, source, dyno, message }) => ({ at, source, dyno, message }));
const segments = () =>
  readdirSync(join(dir, "app"))
    .filter((name) => name.endsWith(".log"))
    .sort();
const messages = (lines: LogLine[]) => lines.map(({ message }) => message);

test("the last lines come back in order, with the time that they were given", async () => {
  const logs = createLogs({ dir });
  const at = "2024-05-01T12:00:00.123456+00:00";
  for (let number = 0; number < 5000; number++) logs.write("app", line(`line ${number}`, { at }));
  const last = await logs.read("app", { lines: 3 });
  expect(plain(last)).toEqual([4997, 4998, 4999].map((number) => line(`line ${number}`, { at })));
  expect(await logs.read("app", { lines: 10_000 })).toHaveLength(5000);
  expect(await logs.read("other", { lines: 10 })).toEqual([]);
});

test("what was said is soon on disk, in a form that people can read", async () => {
  const logs = createLogs({ dir });
  logs.write("app", line("hello", { at: "2024-05-01T12:00:00.123456+00:00" }));
  while (!existsSync(join(dir, "app/00000001.log"))) await Bun.sleep(5);
  expect(readFileSync(join(dir, "app/00000001.log"), "utf8")).toBe(
    "2024-05-01T12:00:00.123456+00:00 app[web.1]: hello\n",
  );
  expect(statSync(join(dir, "app/00000001.log")).mode & 0o777).toBe(0o600);
});

test("a line over 10,000 bytes is cut, and never inside a character", async () => {
  const logs = createLogs({ dir });
  const heard: string[] = [];
  logs.follow("app", {}, ({ message }) => heard.push(message));
  logs.write("app", line("é".repeat(4999) + "x€" + "z".repeat(10_001)));
  const parts = messages(await logs.read("app", { lines: 10 }));
  expect(parts.map((part) => Buffer.byteLength(part))).toEqual([9999, 10_000, 4]);
  expect(parts.join("")).toBe("é".repeat(4999) + "x€" + "z".repeat(10_001));
  expect(heard).toEqual(parts);
});

test("bytes in are bytes out: tabs, brackets, quotes, escapes, empty lines", async () => {
  const logs = createLogs({ dir });
  const odd = ["", " ", "\t[x]: y", '"\\n"', "\u001b[31mred\u001b[0m", "a\rb", "\u2028", "日本語"];
  for (const message of odd) logs.write("app", line(message));
  logs.write("app", line("two\nlines"));
  expect(messages(await logs.read("app", { lines: 100 }))).toEqual([...odd, "two", "lines"]);
});

test("source and dyno filter what is read and what is followed", async () => {
  const logs = createLogs({ dir });
  const heard: string[] = [];
  const stop = logs.follow("app", { dyno: "web" }, ({ message }) => heard.push(message));
  logs.write("app", line("a"));
  logs.write("app", line("b", { dyno: "web.2", source: "heroku" }));
  logs.write("app", line("c", { dyno: "webby.1" }));
  await logs.close();
  stop();
  logs.write("app", line("d", { dyno: "web.2" }));
  expect(heard).toEqual(["a", "b"]);
  expect(messages(await logs.read("app", { lines: 9, dyno: "web.2" }))).toEqual(["b", "d"]);
  expect(messages(await logs.read("app", { lines: 9, dyno: "web" }))).toEqual(["a", "b", "d"]);
  expect(messages(await logs.read("app", { lines: 9, source: "heroku" }))).toEqual(["b"]);
});

test("a follower that fails costs nobody a line", async () => {
  const logs = createLogs({ dir });
  const heard: string[] = [];
  logs.follow("app", {}, () => {
    throw new Error("gone");
  });
  logs.follow("app", {}, ({ message }) => heard.push(message));
  logs.write("app", line("a"));
  await logs.close();
  expect(heard).toEqual(["a"]);
});

test("no more is kept than was asked for, and what is read crosses the borders of the files", async () => {
  const logs = createLogs({ dir, bounds: { maxBytes: 10_000 } });
  for (let number = 0; number < 100; number++) {
    logs.write("app", line(`${number} ${"x".repeat(200)}`));
    await logs.close();
  }
  const sizes = segments().map((name) => statSync(join(dir, "app", name)).size);
  expect(sizes.length).toBeGreaterThan(4);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(10_000);
  const kept = messages(await logs.read("app", { lines: 1000 })).map((text) => parseInt(text));
  expect(kept.length).toBeGreaterThan(20);
  expect(kept).toEqual(kept.map((_, index) => 100 - kept.length + index));
});

test("what is older than it is kept goes, also of an app that says nothing more, and only once", async () => {
  const days = (count: number) => new Date(Date.now() - count * 86_400_000);
  const before = createLogs({ dir, bounds: { maxBytes: 8000 } });
  for (const message of ["a", "b", "c"]) {
    before.write("app", line(message + "x".repeat(800)));
    await before.close();
  }
  const [oldest = "", middle = "", newest = ""] = segments();
  utimesSync(join(dir, "app", oldest), days(8), days(8));
  utimesSync(join(dir, "app", middle), days(6), days(6));
  const logs = createLogs({ dir });
  logs.sweep();
  expect(segments()).toEqual([middle, newest]);
  for (const name of [middle, newest]) utimesSync(join(dir, "app", name), days(8), days(8));
  logs.sweep();
  logs.sweep();
  expect(segments()).toEqual(["00000004.log"]);
  expect(await logs.read("app", { lines: 9 })).toEqual([]);
  logs.write("app", line("new"));
  expect(messages(await logs.read("app", { lines: 9 }))).toEqual(["new"]);
});

test("since and grep choose; capitals count unless told otherwise", async () => {
  const logs = createLogs({ dir });
  for (const [second, message] of ["Alpha", "beta (.*)+$", "ALPHA"].entries())
    logs.write("app", line(message, { at: `2024-05-01T12:00:0${second}.000000+00:00` }));
  const found = async (filter: LogFilter) =>
    messages(await logs.read("app", { lines: 9, ...filter }));
  expect(await found({ since: "2024-05-01T12:00:01.000000+00:00" })).toEqual([
    "beta (.*)+$",
    "ALPHA",
  ]);
  expect(await found({ grep: "(.*)+" })).toEqual(["beta (.*)+$"]);
  expect(await found({ grep: "alpha" })).toEqual([]);
  expect(await found({ grep: "alpha", ignoreCase: true })).toEqual(["Alpha", "ALPHA"]);
  // The time of the line is no part of what it says.
  expect(await found({ grep: "2024" })).toEqual([]);
});

test("segments that were written before the time asked for are not read", async () => {
  const logs = createLogs({ dir, bounds: { maxBytes: 8000 } });
  for (const message of ["a", "b"]) {
    logs.write("app", line(message + "x".repeat(900)));
    await logs.close();
  }
  const [older = ""] = segments();
  utimesSync(join(dir, "app", older), new Date(1000), new Date(1000));
  const since = "2024-05-01T12:00:00.000000+00:00";
  expect(await logs.read("app", { lines: 9, since })).toHaveLength(1);
});

test("a search through a long log lets others work meanwhile", async () => {
  const logs = createLogs({ dir });
  for (let number = 0; number < 200_000; number++) logs.write("app", line(`line ${number}`));
  let turns = 0;
  const others = setInterval(() => turns++, 0);
  expect(messages(await logs.read("app", { lines: 9, grep: "line 777" })).at(-1)).toBe(
    "line 77799",
  );
  expect(await logs.read("app", { lines: 9, grep: "LINE 4321", ignoreCase: true })).toHaveLength(9);
  clearInterval(others);
  expect(turns).toBeGreaterThan(10);
});

test("the stream is kept with the line, and old lines have none", async () => {
  const logs = createLogs({ dir });
  const at = "2024-05-01T12:00:00.123456+00:00";
  logs.write("app", line("out", { at, stream: "stdout" }));
  logs.write("app", line("err", { at, stream: "stderr" }));
  logs.write("app", line("said by the API", { at, dyno: "api" }));
  await logs.close();
  expect(readFileSync(join(dir, "app/00000001.log"), "utf8")).toBe(
    `${at} app[web.1]1: out\n${at} app[web.1]2: err\n${at} app[api]: said by the API\n`,
  );
  appendFileSync(join(dir, "app/00000001.log"), `${at} app[web.1]: of an older server\n`);
  const lines = await createLogs({ dir }).read("app", { lines: 9 });
  expect(lines.map(({ stream, message }) => [stream, message])).toEqual([
    ["stdout", "out"],
    ["stderr", "err"],
    [undefined, "said by the API"],
    [undefined, "of an older server"],
  ]);
});

test("from the place of a line one can go on, with the same lines as a follower has", async () => {
  const logs = createLogs({ dir, bounds: { maxBytes: 8000 } });
  const heard: KeptLine[] = [];
  logs.follow("app", {}, (kept) => heard.push(kept));
  for (let number = 0; number < 30; number++) {
    logs.write("app", line(`é ${number} ${"x".repeat(50)}`));
    if (number % 7 === 0) await logs.close();
  }
  const all = await logs.read("app", { lines: 99 });
  expect(heard).toEqual(all);
  for (const [index, { place }] of all.entries()) {
    const behind = await logs.readAfter("app", place, { lines: 99 });
    expect(behind).toEqual({ lines: all.slice(index + 1), skipped: 0 });
  }
  const few = await logs.readAfter("app", all[9]?.place ?? "", { lines: 5 });
  expect(few).toEqual({ lines: all.slice(25), skipped: 15 });
  for (const place of ["", "x", "99.0", "1.99999999", "-1.5"])
    expect(logs.readAfter("app", place, { lines: 5 })).toBeUndefined();
});

test("a line torn by a crash costs no other line", async () => {
  const before = createLogs({ dir });
  before.write("app", line("whole"));
  await before.close();
  appendFileSync(join(dir, "app/00000001.log"), "2024-05-01T12:00:00.12");
  const after = createLogs({ dir });
  expect(messages(await after.read("app", { lines: 9 }))).toEqual(["whole"]);
  after.write("app", line("next"));
  expect(messages(await after.read("app", { lines: 9 }))).toEqual(["whole", "next"]);
});

test("read and follow in one turn miss nothing and see nothing twice", async () => {
  const logs = createLogs({ dir });
  logs.write("app", line("before"));
  const seen: string[] = [];
  const history = logs.read("app", { lines: 9 });
  logs.follow("app", {}, ({ message }) => seen.push(message));
  logs.write("app", line("after"));
  await logs.close();
  expect([...messages(await history), ...seen]).toEqual(["before", "after"]);
});

test("a removed log is gone, and may begin again", async () => {
  const logs = createLogs({ dir });
  logs.write("app", line("a"));
  await logs.remove("app");
  expect(readdirSync(dir)).toEqual([]);
  logs.write("app", line("b"));
  expect(messages(await logs.read("app", { lines: 9 }))).toEqual(["b"]);
});

test("a disk that takes nothing does not stop the writer", () => {
  const logs = createLogs({ dir: "/proc/no-such-place" });
  for (let number = 0; number < 10; number++) logs.write("app", line("x".repeat(60_000)));
});

test("what a full disk cost is counted and told when there is room again", async () => {
  await execOk(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir]);
  try {
    const logs = createLogs({ dir });
    for (let number = 0; number < 5000; number++)
      logs.write("app", line(`${number} ${"x".repeat(60)}`));
    expect(await logs.read("app", { lines: 9000 })).toEqual([]);
    await execOk(["mount", "-o", "remount,size=10m", dir]);
    const kept = await logs.read("app", { lines: 9000, source: "app" });
    expect(kept.map(({ message }) => parseInt(message))).toEqual(kept.map((_, index) => index));
    const [told] = messages(await logs.read("app", { lines: 9, source: "heroku" }));
    expect(told).toMatch(
      /^Error L10 \(output buffer overflow\): \d+ messages dropped since 20\S+: the server's disk was full\.$/,
    );
    expect(kept.length + Number(/\d+(?= messages)/.exec(told ?? "")?.[0])).toBe(5000);
    await logs.close();
  } finally {
    await execOk(["umount", dir]);
  }
});

test("the last lines of a long log are found without what is before them", async () => {
  const logs = createLogs({ dir });
  for (let number = 0; number < 200_000; number++) logs.write("app", line(`line ${number}`));
  await logs.close();
  for (const name of segments().slice(0, -1)) rmSync(join(dir, "app", name));
  expect(messages(await logs.read("app", { lines: 100 })).at(0)).toBe("line 199900");
});
