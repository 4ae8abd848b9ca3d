import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lineSplitter, openOutputFile } from "../../src/runtime/output-file.ts";

const at = new Date("2026-11-23T11:14:13.666Z");
const head = "2026-11-23T11:14:13.666000000+00:00 stdout";
let folder = "";

beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "stator-output-"))));
afterAll(() => rmSync(folder, { recursive: true }));

const split = (...chunks: (string | number[])[]) => {
  const splitter = lineSplitter("stdout");
  const rows = chunks.map((chunk) =>
    splitter.rows(typeof chunk === "string" ? Buffer.from(chunk) : Uint8Array.from(chunk), at),
  );
  return Buffer.concat([...rows, splitter.end(at)])
    .toString()
    .replaceAll(head, "");
};

test("a line is whole, one without its end is a part until the end comes", () => {
  expect(split("one\ntwo\n")).toBe(" F one\n F two\n");
  expect(split("o", "ne\n\nx")).toBe(" P o\n F ne\n F \n P x\n F \n");
  expect(split("one\n", "")).toBe(" F one\n");
  expect(split()).toBe("");
});

test("long lines are cut, and no character is cut into halves", () => {
  const rows = split(`${"€".repeat(6000)}\n`).split("\n");
  expect(rows.map((row) => row.slice(0, 4))).toEqual([" P €", " P €", " F €", ""]);
  expect(rows.map((row) => row.slice(3)).join("")).toBe("€".repeat(6000));
  const [first, second, third, ...rest] = [...Buffer.from("€ä\n")] as [number, number, number];
  expect(split([first], [second, third], rest)).toBe(" P €\n F ä\n");
  expect(split([0x61, first])).toBe(" P a\n F \uFFFD\n");
  expect(split([0xff, 0x80, 0x80, 0x80, 0x80, 10])).toBe(` F ${"\uFFFD".repeat(5)}\n`);
});

test("a file that has grown large is begun anew beside its readers", () => {
  const path = join(folder, "output");
  const stream = openOutputFile(path).stream("stdout");
  const before = statSync(path).ino;
  const lines = Buffer.from(`${"x".repeat(999)}\n`.repeat(10_000));
  for (let written = 0; written < 70; written += 10) stream.write(lines);
  stream.write(Buffer.from("last\n"));
  expect(statSync(path).ino).not.toBe(before);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(path).size).toBeLessThan(1_000);
  expect(readFileSync(path, "utf8")).toEndWith(" stdout F last\n");
});
