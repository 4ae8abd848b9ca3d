import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killedReader } from "../helpers/killed-reader.ts";

test("kill -9 a hundred times in 20 s of a flood: no line is lost, none is there twice, all in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stator-crash-"));
  const count = 200_000;
  try {
    const { kills, firstWrong, kept, overflows } = await killedReader(folder, { count });
    expect(kills).toBeGreaterThan(20);
    expect({ firstWrong, kept, overflows }).toEqual({ firstWrong: -1, kept: count, overflows: 0 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
