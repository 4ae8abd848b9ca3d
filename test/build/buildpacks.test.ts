import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtInBuildpacks, builtInNames, installBuildpacks } from "../../src/build/buildpacks.ts";

test("the built-in buildpacks are asked in Heroku's order, one that was added as a folder after them, static sites last", () => {
  const folder = mkdtempSync(join(tmpdir(), "stator-buildpacks-"));
  try {
    const target = join(folder, "buildpacks");
    installBuildpacks(target);
    const order = "ruby php nodejs clojure python java scala go".split(" ");
    expect(builtInBuildpacks(target)).toEqual([...order, "static"]);
    for (const name of ["zig", "elixir"]) {
      mkdirSync(join(target, name, "bin"), { recursive: true });
      writeFileSync(join(target, name, "bin/detect"), "");
    }
    expect(builtInBuildpacks(target).slice(order.length).toSorted()).toEqual([
      "elixir",
      "static",
      "zig",
    ]);
    expect(builtInBuildpacks(target).at(-1)).toBe("static");
    expect(builtInNames(target)).toContain("gradle");
    expect(builtInNames(target)).not.toContain("shared");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
