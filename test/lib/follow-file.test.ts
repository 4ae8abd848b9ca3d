import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Following, followFile, type Place } from "../../src/lib/follow-file.ts";

let folder = "";
let path = "";
const open: Following[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stator-follow-"));
  path = join(folder, "output");
});
afterEach(() => {
  for (const following of open.splice(0)) following.close();
  rmSync(folder, { recursive: true });
});

/** Replaces a full file as conmon does. */
function replace(text = "", of = path): void {
  const file = openSync(`${of}.tmp`, "w", 0o600);
  renameSync(`${of}.tmp`, of);
  writeSync(file, text);
  closeSync(file);
}

function reader(from?: Place, of = path, { workMs = 0 } = {}) {
  const seen = {
    rows: [] as string[],
    place: from,
    lost: [] as (number | undefined)[],
    full: false,
    following: undefined as unknown as Following,
  };
  seen.following = followFile(of, {
    from,
    take(bytes, place) {
      if (seen.full) return false;
      if (workMs > 0) Bun.sleepSync(workMs);
      seen.rows.push(...bytes.toString().trimEnd().split("\n"));
      seen.place = place;
      return true;
    },
    lost: (rows) => seen.lost.push(rows),
  });
  open.push(seen.following);
  return seen;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(5);
}

test("what comes is handed on, row by row, also when the file comes later", async () => {
  const one = reader();
  await Bun.sleep(20);
  writeFileSync(path, "a\nb\nhal");
  await until(() => one.rows.length === 2);
  appendFileSync(path, "f\nc\n");
  await until(() => one.rows.length === 4);
  expect(one.rows).toEqual(["a", "b", "half", "c"]);
});

test("the next reader goes on at the place of the last", async () => {
  writeFileSync(path, "a\nb\n");
  const one = reader();
  await one.following.caughtUp();
  one.following.close();
  appendFileSync(path, "c\n");
  const two = reader(one.place);
  await two.following.caughtUp();
  expect(two.rows).toEqual(["c"]);
});

test("a file that is replaced is read to its end, then the new one", async () => {
  writeFileSync(path, "a\n");
  const one = reader();
  await one.following.caughtUp();
  appendFileSync(path, "b\n");
  replace("c\n");
  await until(() => one.rows.length === 3);
  replace("d\n");
  await until(() => one.rows.length === 4);
  expect(one.rows).toEqual(["a", "b", "c", "d"]);
  expect(one.lost).toEqual([]);
});

test("the rest of a file that is replaced while nobody reads is there for the next reader", async () => {
  writeFileSync(path, "a\n");
  const one = reader();
  await one.following.caughtUp();
  one.following.close();
  appendFileSync(path, "b\n");
  replace("c\n");
  const two = reader(one.place);
  await two.following.caughtUp();
  expect(two.rows).toEqual(["b", "c"]);
  expect(two.lost).toEqual([]);
});

test("what came and went while nobody read is told as lost, with a number nobody knows", async () => {
  writeFileSync(path, "a\n");
  const one = reader();
  await one.following.caughtUp();
  one.following.close();
  replace("b\n");
  await Bun.sleep(50);
  replace("c\n");
  const two = reader(one.place);
  await two.following.caughtUp();
  expect(two.rows).toEqual(["c"]);
  expect(two.lost).toEqual([undefined]);
});

test("a writer who is too fast loses the files that nobody can hold, and is told how many rows", async () => {
  writeFileSync(path, "1\n");
  const one = reader();
  await one.following.caughtUp();
  one.full = true;
  for (let number = 2; number <= 6; number++) {
    replace(`${number}\n${number}\n`);
    await one.following.caughtUp();
  }
  one.full = false;
  await until(() => one.rows.length >= 7 && one.lost.length === 1);
  expect(one.rows).toEqual(["1", "2", "2", "3", "3", "6", "6"]);
  expect(one.lost).toEqual([4]);
});

test("two who read take turns: who has much does not hold up who has little", async () => {
  writeFileSync(path, `${"x".repeat(99)}\n`.repeat(400_000));
  const other = join(folder, "other");
  const much = reader(undefined, path, { workMs: 2 });
  const little = reader(undefined, other);
  await until(() => much.rows.length > 0);
  for (let number = 0; number < 10; number++) {
    appendFileSync(other, `${number}\n`);
    await until(() => little.rows.length > number);
  }
  expect(much.rows.length).toBeLessThan(400_000);
  await much.following.caughtUp();
  expect(much.rows.length).toBe(400_000);
});

test("close takes what is left at once, and a torn row stays", () => {
  writeFileSync(path, "a\n".repeat(300_000) + "torn");
  const one = reader();
  one.following.close();
  expect(one.rows.length).toBe(300_000);
  expect(one.place?.offset).toBe(600_000);
});
