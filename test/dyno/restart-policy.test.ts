import { expect, test } from "bun:test";
import { restartDelayMs } from "../../src/dyno/restart-policy.ts";

const minutes = (ms: number) => ms / 60_000;

test("clause 27: the first crash is followed by a start at once, the next ones by 20, 40, 60, 180, 320 minutes", () => {
  expect([1, 2, 3, 4, 5, 6].map((crashes) => minutes(restartDelayMs(crashes)))).toEqual([
    0, 20, 40, 60, 180, 320,
  ]);
});

test("after that an attempt is made every 320 minutes", () => {
  expect([7, 8, 100, 1e9].map((crashes) => minutes(restartDelayMs(crashes)))).toEqual([
    320, 320, 320, 320,
  ]);
});

test("a number that is none waits for nothing", () => {
  expect([0, -1].map(restartDelayMs)).toEqual([0, 0]);
});
