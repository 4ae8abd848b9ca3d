import { expect, test } from "bun:test";
import { codeAt, newCodeSecret, stepOfCode } from "../../src/lib/one-time-code.ts";

/** `12345678901234567890`, the secret of RFC 6238's table. */
const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

test.each([
  [59, "287082"],
  [1111111109, "081804"],
  [1234567890, "005924"],
  [20000000000, "353130"],
])("the code at %d s is the last six digits of RFC 6238's", (seconds, code) => {
  expect(codeAt(secret, Math.floor(seconds / 30))).toBe(code);
});

test("a code is good for its half minute, the one before and the one after, and once", () => {
  const made = newCodeSecret();
  expect(made).toMatch(/^[A-Z2-7]{32}$/);
  const step = 1000;
  const at = (shift: number, lastStep = 0) =>
    stepOfCode(made, codeAt(made, step), { nowMs: (step + shift) * 30_000, lastStep });
  expect([at(-1), at(0), at(1)]).toEqual([step, step, step]);
  expect([at(-2), at(2), at(0, step)]).toEqual([undefined, undefined, undefined]);
});

test("what is no code is none", () => {
  const moment = { nowMs: 59_000, lastStep: 0 };
  for (const text of ["", "28708", "2870821", "ABCDEF", "x".repeat(1000)])
    expect(stepOfCode(secret, text, moment)).toBeUndefined();
  expect(stepOfCode(secret, " 287 082 ", moment)).toBe(1);
});
