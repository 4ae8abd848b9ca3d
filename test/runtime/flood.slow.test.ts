import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type ContainerBench, mebibyte, openContainerBench } from "../helpers/container-bench.ts";

let bench: ContainerBench;
beforeAll(async () => {
  bench = await openContainerBench();
});
afterAll(() => bench.close());

test("a log flood takes no more of the disk than the monitor's bound, and its neighbour goes on", async () => {
  const { id } = await bench.start("yes $(printf %01000d 0) | head -c 75000000; exit 7");
  const neighbour = await bench.start("sleep 0.5; echo alive; sleep 1000");
  await bench.said(neighbour.id, "alive");
  expect(await bench.runtime.wait(id)).toBe(7);
  const out = join(bench.folder, "out");
  const sizes = readdirSync(out)
    .filter((name) => name.startsWith(id))
    .map((name) => statSync(join(out, name)).size);
  expect(sizes.length).toBeGreaterThan(0);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(65 * mebibyte);
  for (const ended of [id, neighbour.id]) await bench.runtime.destroy(ended);
});
