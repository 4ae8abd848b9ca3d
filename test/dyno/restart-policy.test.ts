import { expect, test } from "bun:test";
import { crashesInARow, cycleAtMs, restartDelayMs } from "../../src/dyno/restart-policy.ts";

const minutes = (count: number) => count * 60_000;

test("clause 27: the first crash is followed by a start at once, then by 20, 40, 60, 180 and 320 minutes", () => {
  expect([1, 2, 3, 4, 5, 6, 7, 100].map(restartDelayMs)).toEqual(
    [0, 20, 40, 60, 180, 320, 320, 320].map(minutes),
  );
});

test("clause 28: a dyno that was up for more than a minute begins a new row of crashes", () => {
  expect(crashesInARow(0, 0)).toBe(1);
  expect(crashesInARow(3, 59_000)).toBe(4);
  expect(crashesInARow(3, 61_000)).toBe(1);
});

test("clause 31: a dyno is cycled 24 hours after its start and up to 216 minutes more, each at its own time", () => {
  const createdAt = new Date(0);
  const extras = Array.from(
    { length: 500 },
    () => cycleAtMs({ id: crypto.randomUUID(), createdAt }) - minutes(24 * 60),
  );
  expect(Math.min(...extras)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...extras)).toBeLessThanOrEqual(minutes(216));
  expect(Math.max(...extras) - Math.min(...extras)).toBeGreaterThan(minutes(150));
  expect(cycleAtMs({ id: "one", createdAt })).toBe(cycleAtMs({ id: "one", createdAt }));
});
