import { expect, test } from "bun:test";
import { outOfMemoryLines, overQuotaLines } from "../../src/dyno/memory.ts";
import { type DynoSize, dynoSizes } from "../../src/model/dyno-size.ts";

const basic = dynoSizes().find("basic") as DynoSize;
const megabytes = (count: number) => count * 1024 * 1024;

test("clause 35: over its quota a dyno is told of, with the percentage to one decimal", () => {
  expect(overQuotaLines(megabytes(512), basic)).toEqual([]);
  expect(overQuotaLines(megabytes(530), basic)).toEqual([
    "Process running mem=530M(103.5%)",
    "Error R14 (Memory quota exceeded)",
  ]);
});

test("clause 35: what the kernel has ended for want of memory is told as R15", () => {
  expect(outOfMemoryLines(megabytes(3), basic)).toEqual([
    "Process running mem=1024M(200.0%)",
    "Error R15 (Memory quota vastly exceeded)",
    "The kernel ended it: it needed more than 1024 MB",
  ]);
});
