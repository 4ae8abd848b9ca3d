import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseMonitorRow, tailOutput } from "../../src/dyno/output-tail.ts";
import { execOk } from "../../src/lib/exec.ts";
import { createLogs } from "../../src/logs/log-store.ts";
import type { Logs } from "../../src/logs/logs.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stator-tail-"));
  path = join(folder, "output");
});
afterEach(() => rmSync(folder, { recursive: true }));

const time = "2026-11-23T11:14:13.100000000+00:00";
const parse = (text: string) => {
  const row = parseMonitorRow(Buffer.from(text));
  return row && { ...row, bytes: row.bytes.toString() };
};

test("a row of the monitor is read with its stream, and its time in microseconds and UTC", () => {
  expect(parse("2026-11-23T11:14:13.666650744+02:00 stdout F Hello  there ")).toEqual({
    at: "2026-11-23T09:14:13.666650+00:00",
    stream: "stdout",
    partial: false,
    bytes: "Hello  there ",
  });
  expect(parse("2026-11-23T11:14:13.5Z stderr P half")).toEqual({
    at: "2026-11-23T11:14:13.500000+00:00",
    stream: "stderr",
    partial: true,
    bytes: "half",
  });
});

test("an empty line is a line, and what is no row of the monitor is none", () => {
  expect(parse("2026-11-23T11:14:13.1+00:00 stdout F ")?.bytes).toBe("");
  expect(parse("2026-11-23T11:14:13.1+00:00 stdout F")?.bytes).toBe("");
  const wrong = [
    "",
    "nonsense",
    "2026-11-23T11:14:13.1+00:00 stdin F x",
    "yesterday stdout F text",
  ];
  for (const row of [
    ...wrong,
    "2026-11-23T11:14:13.1+00:00 stdout Fx",
    "2026-99-99T99:99:99Z stdout F x",
  ])
    expect(parse(row)).toBeUndefined();
});

test("parts are put together, and what is left is handed on at the end", async () => {
  writeFileSync(path, `${time} stdout P one \n${time} stdout F line\n${time} stdout F two\n`);
  const logs = createLogs({ dir: join(folder, "logs") });
  const intake = logs.intake("app", { id: "dyno", dyno: "web.1" });
  const tail = tailOutput(path, intake);
  appendFileSync(path, `${time} stderr P the rest\n`);
  tail.close();
  intake.end();
  const lines = await logs.read("app", { lines: 9 });
  expect(lines.map(({ message }) => message)).toEqual(["one line", "two", "the rest"]);
  await logs.close();
});

test("each stream has its own parts, and a character may lie across two of them", async () => {
  const [first, second] = [Buffer.from("é").subarray(0, 1), Buffer.from("é").subarray(1)];
  const parts = [
    `${time} stdout P `,
    first,
    `\n${time} stderr F between\n${time} stdout F `,
    second,
    "\n",
  ];
  writeFileSync(path, Buffer.concat(parts.map((part) => Buffer.from(part))));
  const logs = createLogs({ dir: join(folder, "logs") });
  tailOutput(path, logs.intake("app", { id: "dyno", dyno: "web.1" })).close();
  const lines = await logs.read("app", { lines: 9 });
  expect(lines.map(({ stream, message }) => [stream, message])).toEqual([
    ["stderr", "between"],
    ["stdout", "é"],
  ]);
  await logs.close();
});

test("clause 99: a line without an end is handed on in pieces of 10,000 bytes", async () => {
  const part = `${time} stdout P ${"x".repeat(8000)}\n`;
  writeFileSync(path, `${part.repeat(40)}${time} stdout F end\n`);
  const logs = createLogs({ dir: join(folder, "logs") });
  const intake = logs.intake("app", { id: "dyno", dyno: "web.1" });
  tailOutput(path, intake).close();
  const lines = await logs.read("app", { lines: 99 });
  expect(lines.map(({ message }) => message.length)).toEqual([
    ...Array<number>(32).fill(10_000),
    3,
  ]);
  await logs.close();
});

test("the next reader goes on where the log ends, in the middle of a line too", async () => {
  writeFileSync(path, `${time} stdout F one\n${time} stdout P tw\n${time} stderr F err\n`);
  const dir = join(folder, "logs");
  const before = createLogs({ dir });
  tailOutput(path, before.intake("app", { id: "dyno", dyno: "web.1" })).close();
  await before.close();
  appendFileSync(path, `${time} stdout F o\n${time} stderr P no end\n`);
  const after = createLogs({ dir });
  const intake = after.intake("app", { id: "dyno", dyno: "web.1" });
  tailOutput(path, intake).close();
  intake.end();
  const lines = await after.read("app", { lines: 9 });
  expect(lines.map(({ stream, message }) => [stream, message])).toEqual([
    ["stdout", "one"],
    ["stderr", "err"],
    ["stdout", "two"],
    ["stderr", "no end"],
  ]);
  await after.close();
});

test("a dyno that ended just before the server died is not read again; its next start is", async () => {
  writeFileSync(path, `${time} stdout F one\n${time} stdout P two\n`);
  const dir = join(folder, "logs");
  const read = async (log: Logs) => {
    const intake = log.intake("app", { id: "dyno", dyno: "web.1" });
    tailOutput(path, intake).close();
    intake.end();
    return (await log.read("app", { lines: 9 })).map(({ message }) => message);
  };
  expect(await read(createLogs({ dir }))).toEqual(["one", "two"]);
  expect(await read(createLogs({ dir }))).toEqual(["one", "two"]);
  rmSync(path);
  rmSync(`${path}.reading`);
  writeFileSync(path, `${time} stdout F three\n`);
  const logs = createLogs({ dir });
  expect(await read(logs)).toEqual(["one", "two", "three"]);
  // Nobody reads it any more at two sweeps: its place is forgotten.
  expect(logs.intake("app", { id: "dyno", dyno: "web.1" }).from?.ended).toBe(true);
  const later = createLogs({ dir });
  later.sweep();
  later.sweep();
  await later.close();
  expect(later.intake("app", { id: "dyno", dyno: "web.1" }).from).toBeUndefined();
});

test("a full disk holds the reader up, and costs it no line", async () => {
  const row = (number: number) => `${time} stdout F ${number} ${"x".repeat(40)}\n`;
  writeFileSync(path, Array.from({ length: 9000 }, (_, number) => row(number)).join(""));
  const dir = join(folder, "logs");
  mkdirSync(dir);
  await execOk(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", dir]);
  try {
    const logs = createLogs({ dir });
    const tail = tailOutput(path, logs.intake("app", { id: "dyno", dyno: "web.1" }));
    await tail.caughtUp();
    const numbers = async () =>
      (await logs.read("app", { lines: 10_000 })).map(({ message }) => parseInt(message));
    const all = Array.from({ length: 9000 }, (_, number) => number);
    const before = await numbers();
    expect(before.length).toBeLessThan(9000);
    expect(before).toEqual(all.slice(0, before.length));
    await execOk(["mount", "-o", "remount,size=10m", dir]);
    while ((await numbers()).length < 9000) await Bun.sleep(100);
    expect(await numbers()).toEqual(all);
    tail.close();
    await logs.close();
  } finally {
    await execOk(["umount", dir]);
  }
});
