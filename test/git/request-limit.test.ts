import { expect, test } from "bun:test";
import { createRequestLimit } from "../../src/git/request-limit.ts";

const minuteMs = 60_000;

test("so many requests an hour are allowed to each, and more when the first are an hour old", () => {
  const limit = createRequestLimit(2);
  expect([0, 30, 59].map((minute) => limit.allows("one", minute * minuteMs))).toEqual([
    true,
    true,
    false,
  ]);
  expect(limit.allows("other", 59 * minuteMs)).toBe(true);
  expect([61, 62, 91].map((minute) => limit.allows("one", minute * minuteMs))).toEqual([
    true,
    false,
    true,
  ]);
});

test("without a limit all are allowed", () => {
  const limit = createRequestLimit(null);
  expect(Array.from({ length: 1000 }, () => limit.allows("one", 0)).every(Boolean)).toBe(true);
});
