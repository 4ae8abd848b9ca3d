import { expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type OutputLine, parseMonitorLine, tailOutput } from "../../src/dyno/output-tail.ts";

test("a line of the monitor is read with its time in microseconds and UTC", () => {
  expect(parseMonitorLine("2026-11-23T11:14:13.666650744+02:00 stdout F Hello  there ")).toEqual({
    at: "2026-11-23T09:14:13.666650+00:00",
    text: "Hello  there ",
    partial: false,
  });
  expect(parseMonitorLine("2026-11-23T11:14:13.5Z stderr P half")).toEqual({
    at: "2026-11-23T11:14:13.500000+00:00",
    text: "half",
    partial: true,
  });
});

test("an empty line is a line, and what is no line of the monitor is none", () => {
  expect(parseMonitorLine("2026-11-23T11:14:13.1+00:00 stdout F ")?.text).toBe("");
  expect(parseMonitorLine("2026-11-23T11:14:13.1+00:00 stdout F")?.text).toBe("");
  for (const row of ["", "nonsense", "2026-11-23T11:14:13.1+00:00 stdin F x"])
    expect(parseMonitorLine(row)).toBeUndefined();
});

test("a time that cannot be read costs no exception", () => {
  expect(() => parseMonitorLine("yesterday stdout F text")).not.toThrow();
});

test("parts are put together, and what is left is handed on at the end", () => {
  const folder = mkdtempSync(join(tmpdir(), "stator-tail-"));
  const path = join(folder, "output");
  const time = "2026-11-23T11:14:13.100000000+00:00";
  writeFileSync(path, `${time} stdout P one \n${time} stdout F line\n${time} stdout F two\n`);
  const lines: OutputLine[] = [];
  const tail = tailOutput(path, (read) => lines.push(...read));
  appendFileSync(path, `${time} stderr P the rest\n`);
  tail.close();
  expect(lines.map(({ text }) => text)).toEqual(["one line", "two", "the rest"]);
  rmSync(folder, { recursive: true });
});

test("a line without an end is handed on in pieces", () => {
  const folder = mkdtempSync(join(tmpdir(), "stator-tail-"));
  const path = join(folder, "output");
  const part = `2026-11-23T11:14:13.100000000+00:00 stdout P ${"x".repeat(8000)}\n`;
  writeFileSync(path, part.repeat(40));
  let longest = 0;
  let all = 0;
  const tail = tailOutput(path, (read) => {
    for (const { text } of read) longest = Math.max(longest, text.length);
    for (const { text } of read) all += text.length;
  });
  tail.close();
  expect(all).toBe(8000 * 40);
  expect(longest).toBeLessThanOrEqual(72 * 1024);
  rmSync(folder, { recursive: true });
});
