import { expect, test } from "bun:test";
import { expiryWords, isWarningDue, renewAtMs, waitAfterMs } from "../../src/certs/renewal.ts";

const dayMs = 86_400_000;
const endMs = Date.UTC(2027, 0, 31, 9, 5);
const wordsOf = (lifeDays: number, leftDays: number) =>
  expiryWords(
    { notBeforeMs: endMs - lifeDays * dayMs, notAfterMs: endMs },
    endMs - leftDays * dayMs,
  );

test("the end of a certificate is told from 30 days on, of a short-lived one from its last third", () => {
  expect(wordsOf(365, 30.1)).toBeUndefined();
  expect(wordsOf(365, 30)).toBe("expires in 30 days, on 2027-01-31 09:05 UTC");
  expect(wordsOf(365, 1.9)).toBe("expires in 1 day, on 2027-01-31 09:05 UTC");
  expect(wordsOf(365, 0.5)).toBe("expires in less than a day, on 2027-01-31 09:05 UTC");
  expect(wordsOf(365, 0)).toBe("expired on 2027-01-31 09:05 UTC");
  expect(wordsOf(365, -90)).toBe("expired on 2027-01-31 09:05 UTC");
  expect(wordsOf(6, 2.1)).toBeUndefined();
  expect(wordsOf(6, 2)).toBe("expires in 2 days, on 2027-01-31 09:05 UTC");
});

test("it is told once a day, also by a clock that was put back", () => {
  expect(isWarningDue(null, endMs)).toBe(true);
  expect(isWarningDue(endMs, endMs + dayMs - 1)).toBe(false);
  expect(isWarningDue(endMs, endMs + dayMs)).toBe(true);
  expect(isWarningDue(endMs, endMs - 60_000)).toBe(false);
  expect(isWarningDue(endMs, endMs - dayMs)).toBe(true);
});

test("a certificate is due when a third of its life is left", () => {
  expect(renewAtMs({ notBeforeMs: 0, notAfterMs: 90 * dayMs })).toBe(60 * dayMs);
  expect(renewAtMs({ notBeforeMs: 0, notAfterMs: 6 * dayMs })).toBe(4 * dayMs);
});

test("failures wait longer and longer, a day at most, and never all names together", () => {
  const backOff = { firstMs: 15 * 60_000, longestMs: dayMs };
  const minutes = [1, 2, 3, 20, 400].map((failures) => waitAfterMs(failures, backOff, 0) / 60_000);
  expect(minutes).toEqual([15, 30, 60, 1_440, 1_440]);
  expect(waitAfterMs(1, backOff, 1)).toBe(18 * 60_000);
});
