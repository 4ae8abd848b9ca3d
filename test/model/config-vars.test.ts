import { expect, test } from "bun:test";
import { changedConfigVars } from "../../src/model/config-vars.ts";

test("values are set, changed, and removed by null", () => {
  expect(changedConfigVars({ A: "1", B: "2" }, { B: "3", C: "", A: null })).toEqual({
    B: "3",
    C: "",
  });
  expect(changedConfigVars({ A: "1" }, { NOT_THERE: null })).toEqual({ A: "1" });
});

test("what was before is left alone", () => {
  const before = { A: "1" };
  changedConfigVars(before, { A: "2" });
  expect(before).toEqual({ A: "1" });
});

test("names that no shell takes are refused, by name", () => {
  for (const key of ["", "1A", "A-B", "A B", "A=B", "É", "A\n", "__A", "HEROKU_APP"])
    expect(() => changedConfigVars({}, { [key]: "x" })).toThrow("Cannot set config var");
  for (const key of ["A", "_A", "a1", "A_B_2"])
    expect(changedConfigVars({}, { [key]: "x" })).toEqual({ [key]: "x" });
});

test("values may hold anything but a NUL", () => {
  const value = "line\nline\r\n\t'\"$`\\ ü 😀";
  expect(changedConfigVars({}, { A: value })).toEqual({ A: value });
  expect(() => changedConfigVars({}, { A: "a\0b" })).toThrow("NUL");
});

test("64 kB in all is the limit, counted in bytes", () => {
  expect(() => changedConfigVars({}, { A: "x".repeat(65_535) })).not.toThrow();
  expect(() => changedConfigVars({}, { A: "x".repeat(65_536) })).toThrow("64 kB");
  expect(() => changedConfigVars({ B: "ü".repeat(32_000) }, { A: "x".repeat(2000) })).toThrow(
    "64 kB",
  );
});

test("a key of an object's own ways is a key like others", () => {
  expect(changedConfigVars({}, { constructor: "x" })).toEqual({ constructor: "x" } as never);
  expect(Object.keys(changedConfigVars({}, { toString: null } as never))).toEqual([]);
});
