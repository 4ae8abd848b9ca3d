import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LogSegments } from "../../src/logs/log-segments.ts";
import { killedReader } from "../helpers/killed-reader.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stator-crash-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("kill -9 at random moments of a flood: no line is lost, none is there twice, all in order", async () => {
  const { kills, firstWrong, kept, overflows } = await killedReader(folder, { count: 30_000 });
  expect(kills).toBeGreaterThan(3);
  expect({ firstWrong, kept, overflows }).toEqual({ firstWrong: -1, kept: 30_000, overflows: 0 });
});

/** The state of a log whose server died: what was on disk, and how much of the next write. */
const line = (number: number) => `2024-05-01T12:00:00.000000+00:00 app[web.1]1: ${number}\n`;
const place = (offset: number) => ({ file: "1-1", offset });
const segment = () => join(folder, "00000001.log");

test("a death at any byte of a write leaves lines and place as they were, or as they become", () => {
  const first = line(1) + line(2);
  const second = line(3) + line(4) + line(5);
  const before = new LogSegments(folder);
  before.append(first, new Map([["dyno", place(10)]]));
  before.append(second, new Map([["dyno", place(20)]]));
  const places = readFileSync(join(folder, "places"));
  for (let written = 0; written <= second.length; written++) {
    writeFileSync(join(folder, "places"), places);
    writeFileSync(segment(), first + second.slice(0, written));
    const after = new LogSegments(folder);
    const whole = written === second.length;
    expect(after.placeOf("dyno")).toEqual(place(whole ? 20 : 10));
    expect(readFileSync(segment(), "utf8")).toBe(whole ? first + second : first);
    // Lines without a place come next, and another death: the old promise must not come true.
    after.append(line(6).repeat(9), new Map());
    expect(new LogSegments(folder).placeOf("dyno")).toEqual(place(whole ? 20 : 10));
  }
});

test("places outlive the lines that they were written with", () => {
  const before = new LogSegments(folder, { maxBytes: 800 });
  before.append(line(1), new Map([["dyno", place(10)]]));
  for (let number = 0; number < 40; number++) before.append(line(number), new Map());
  expect(new LogSegments(folder).placeOf("dyno")).toEqual(place(10));
  appendFileSync(join(folder, "places"), "torn");
  expect(new LogSegments(folder).placeOf("dyno")).toBeUndefined();
});
