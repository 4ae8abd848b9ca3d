import { expect, test } from "bun:test";
import { fuzzApi } from "../helpers/fuzz-api.ts";

test("3,000 requests of chance get no 500, and errors in their form", async () => {
  const seed = 1;
  const { problems, asked, routes } = await fuzzApi({ requests: 3000, seed });
  expect(problems).toEqual([]);
  expect(asked.size).toBe(routes.length);
});
