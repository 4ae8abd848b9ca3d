import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { mountPoints } from "../../src/runtime/box-mount.ts";
import { createKeptDisks } from "../../src/runtime/kept-disks.ts";
import { mebibyte } from "../helpers/container-bench.ts";

const dir = mkdtempSync(join(tmpdir(), "stator-disks-"));
const sizeBytes = 64 * mebibyte;
const owner = 0x7100_0000;
const kinds = [true, false].map((quota) => ({
  quota,
  disks: createKeptDisks({ dir: join(dir, String(quota)), sizeBytes, quota }),
}));
beforeAll(() => {
  expect(process.getuid?.()).toBe(0);
});
afterAll(async () => {
  for (const { disks } of kinds) await disks.sweep(new Set());
  const loops = await exec(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"]);
  expect(
    [...mountPoints(), ...loops.stdout.split("\n")].filter((row) => row.includes(dir)),
  ).toEqual([]);
  rmSync(dir, { recursive: true });
});

for (const { quota, disks } of kinds) {
  const kind = quota ? "a disk of its own" : "a plain folder";

  test(`${kind}: what is kept is there the next time, what was on the way is not`, async () => {
    const first = await disks.open("one", owner);
    expect(statSync(first.folder).uid).toBe(owner);
    writeFileSync(join(first.folder, "layer"), "layer");
    writeFileSync(join(first.scratch, "rest"), "rest");
    await first.close();
    const second = await disks.open("one", owner);
    expect(readFileSync(join(second.folder, "layer"), "utf8")).toBe("layer");
    expect(existsSync(join(second.scratch, "rest"))).toBe(false);
    await second.close();
  });

  test(`${kind}: what a server that died has left open begins anew`, async () => {
    const left = await disks.open("left", owner);
    writeFileSync(join(left.folder, "half"), "half");
    const again = await disks.open("left", owner);
    expect(existsSync(join(again.folder, "half"))).toBe(false);
    await again.close();
    writeFileSync(join((await disks.open("swept", owner)).folder, "x"), "x");
    await disks.sweep(new Set(["one", "left", "swept"]));
    expect(existsSync(join(dir, String(quota), "swept"))).toBe(false);
    expect(existsSync(join(dir, String(quota), "left"))).toBe(true);
  });

  test(`${kind}: one that is more than half full begins anew`, async () => {
    const disk = await disks.open("full", owner);
    writeFileSync(join(disk.folder, "much"), new Uint8Array(40 * mebibyte));
    await disk.close();
    const again = await disks.open("full", owner);
    expect(existsSync(join(again.folder, "much"))).toBe(false);
    await disks.forget("full");
    await again.close();
    expect(existsSync(join(dir, String(quota), "full"))).toBe(false);
  });
}

test("a disk of its own holds so much, and the host is not asked for more", async () => {
  const [{ disks }] = kinds as [(typeof kinds)[0]];
  const disk = await disks.open("bomb", owner);
  expect(() => writeFileSync(join(disk.folder, "bomb"), new Uint8Array(80 * mebibyte))).toThrow(
    "ENOSPC",
  );
  await disk.close();
});
