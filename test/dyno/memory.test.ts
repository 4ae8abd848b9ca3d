import { expect, test } from "bun:test";
import { MemoryWatch, outOfMemoryLines, overQuotaLines } from "../../src/dyno/memory.ts";
import type { Dyno } from "../../src/model/dyno.ts";
import { type DynoSize, dynoSizes } from "../../src/model/dyno-size.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";

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

/** A dyno that uses so many megabytes, and what is said of it and done to it. */
function watched(stats: { megabytes: number; kills: number }) {
  const said: string[] = [];
  const runtime = {
    stats: () => ({
      ...{ memoryBytes: megabytes(stats.megabytes), outOfMemoryKills: stats.kills },
      ...{ cpuMicroseconds: 0, processes: 1 },
    }),
    signal: async (id: string, signal: string) => void said.push(`${signal} to ${id}`),
  };
  const watch = new MemoryWatch(
    { runtime: runtime as unknown as Runtime, sizes: dynoSizes() },
    { id: "one", size: "Basic" } as Dyno,
    (line) => said.push(line),
  );
  return { watch, said };
}

test("clause 35: what stays over its quota is told of every 20 seconds", async () => {
  const { watch, said } = watched({ megabytes: 530, kills: 0 });
  for (let second = 20; second < 70; second += 5) await watch.look(second * 1000);
  expect(said).toEqual(
    Array.from({ length: 3 }, () => [
      "Process running mem=530M(103.5%)",
      "Error R14 (Memory quota exceeded)",
    ]).flat(),
  );
});

test("clause 35: a dyno of which a part was ended is ended whole, and told of once", async () => {
  const { watch, said } = watched({ megabytes: 100, kills: 1 });
  await watch.look(20_000);
  await watch.look(40_000);
  watch.tellOfKills();
  expect(said).toEqual([
    "Process running mem=1024M(200.0%)",
    "Error R15 (Memory quota vastly exceeded)",
    "The kernel ended it: it needed more than 1024 MB",
    "Stopping process with SIGKILL",
    "KILL to one",
  ]);
});
