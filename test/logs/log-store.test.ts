import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LogLine, logTime } from "../../src/logs/log-line.ts";
import { createLogs } from "../../src/logs/log-store.ts";

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
const messages = (lines: LogLine[]) => lines.map(({ message }) => message);

test("the last lines come back in order, with the time that they were given", async () => {
  const logs = createLogs({ dir });
  const at = "2024-05-01T12:00:00.123456+00:00";
  for (let number = 0; number < 5000; number++) logs.write("app", line(`line ${number}`, { at }));
  const last = await logs.read("app", { lines: 3 });
  expect(last).toEqual([4997, 4998, 4999].map((number) => line(`line ${number}`, { at })));
  expect(await logs.read("app", { lines: 10_000 })).toHaveLength(5000);
  expect(await logs.read("other", { lines: 10 })).toEqual([]);
});

test("what was said is on disk within 50 ms, in a form that people can read", async () => {
  const logs = createLogs({ dir });
  logs.write("app", line("hello", { at: "2024-05-01T12:00:00.123456+00:00" }));
  await Bun.sleep(50);
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
  expect(heard).toEqual(["a"]);
});

test("eight segments are kept, and what is read crosses their borders", async () => {
  const logs = createLogs({ dir, maxSegmentBytes: 1000 });
  for (let number = 0; number < 100; number++) {
    logs.write("app", line(`${number} ${"x".repeat(200)}`));
    await logs.close();
  }
  expect(readdirSync(join(dir, "app"))).toHaveLength(8);
  const kept = messages(await logs.read("app", { lines: 1000 })).map((text) => parseInt(text));
  expect(kept.length).toBeGreaterThan(20);
  expect(kept).toEqual(kept.map((_, index) => 100 - kept.length + index));
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

test("the last 100 of 300,000 lines are found in milliseconds", async () => {
  const logs = createLogs({ dir });
  for (let number = 0; number < 300_000; number++) logs.write("app", line(`line ${number}`));
  const start = performance.now();
  expect(await logs.read("app", { lines: 100 })).toHaveLength(100);
  expect(performance.now() - start).toBeLessThan(100);
});
