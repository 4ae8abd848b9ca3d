import { expect, test } from "bun:test";
import { fuzzApi } from "../helpers/fuzz-api.ts";

const mebibyte = 1024 * 1024;

test("100,000 requests of chance: no 500, no hang, no memory that grows", async () => {
  const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const { problems, statuses, heapGrowth } = await fuzzApi({ requests: 100_000, seed });
  expect({ seed, problems }).toEqual({ seed, problems: [] });
  expect({ seed, heapGrowth: Math.max(0, heapGrowth) < 32 * mebibyte }).toEqual({
    seed,
    heapGrowth: true,
  });
  for (const status of [200, 201, 400, 404, 422, 501])
    expect(statuses.get(status) ?? 0).toBeGreaterThan(100);
});
