import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tailOutput } from "../../src/dyno/output-tail.ts";
import { spawn } from "../../src/lib/exec.ts";
import { LogSegments } from "../../src/logs/log-segments.ts";
import { createLogs } from "../../src/logs/log-store.ts";
import { runMonitored, speaker } from "../helpers/monitored.ts";

setDefaultTimeout(60_000);
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stator-crash-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const program = join(import.meta.dir, "../helpers/keep-output.ts");

test("kill -9 at random moments of a flood: no line is lost, none is there twice, all in order", async () => {
  const count = 150_000;
  const dir = join(folder, "logs");
  // Files of 3 MB are full every second: the reader dies in the middle of a change of files, too.
  const monitored = await runMonitored(
    join(folder, "dyno"),
    speaker({ count, perSecond: 25_000 }),
    { maxLogBytes: 3_000_000 },
  );
  let kills = 0;
  for (let over = false; !over; kills++) {
    const reader = spawn([process.execPath, program, dir, monitored.output]);
    await reader.stdout.getReader().read();
    over = await Promise.race([
      monitored.ended().then(() => true),
      Bun.sleep(Math.random() * 150).then(() => false),
    ]);
    reader.kill("SIGKILL");
    await reader.exited;
  }
  expect(kills).toBeGreaterThan(10);
  const logs = createLogs({ dir });
  const tail = tailOutput(monitored.output, logs.intake("app", { id: "dyno", dyno: "web.1" }));
  await tail.caughtUp();
  tail.close();
  const lines = await logs.read("app", { lines: count * 2, source: "app" });
  const numbers = lines.map(({ message }) => Number(/^line (\d+) of the flood/.exec(message)?.[1]));
  const outOfOrder = numbers.findIndex((number, index) => number !== index);
  expect([outOfOrder, numbers.length]).toEqual([-1, count]);
  expect(await logs.read("app", { lines: 1, grep: "Error L10" })).toEqual([]);
  await logs.close();
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
