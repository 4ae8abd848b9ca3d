import { expect, test } from "bun:test";
import { slugSizeWarning } from "../../src/build/slug-build.ts";

const mebibyte = 1024 * 1024;

test("a slug above 300 MB is warned of, one above 500 MB is refused by other words", () => {
  expect(slugSizeWarning(300 * mebibyte)).toBeUndefined();
  expect(slugSizeWarning(356 * mebibyte)).toBe(
    "Warning: Your slug size (356 MB) exceeds our soft limit (300 MB) which may affect boot time.",
  );
  expect(slugSizeWarning(501 * mebibyte)).toBeUndefined();
});
