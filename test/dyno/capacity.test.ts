import { expect, test } from "bun:test";
import { checkCapacity, promisedBytes } from "../../src/dyno/capacity.ts";
import { dynoSizes } from "../../src/model/dyno-size.ts";

const sizes = dynoSizes();
const gigabyte = 1024 ** 3;
const demand = (quantity: number, name: string, type = "web") => {
  const size = sizes.find(name);
  if (!size) throw new Error(name);
  return { label: `${type}=${quantity}`, size, quantity };
};
const refusal = (machine: number, wanted: ReturnType<typeof demand>[], promised = 0) => {
  try {
    checkCapacity(machine, { wanted, promised });
    return "";
  } catch (error) {
    return (error as Error).message;
  }
};

test("shared sizes count with an eighth of their memory, dedicated ones with all of it", () => {
  expect(promisedBytes([demand(8, "Basic")])).toBe(0.5 * gigabyte);
  expect(promisedBytes([demand(2, "Performance-M")])).toBe(5 * gigabyte);
});

test("what fits is let through, up to the last byte", () => {
  expect(refusal(gigabyte, [demand(16, "Basic")])).toBe("");
  expect(refusal(gigabyte, [demand(8, "Basic")], gigabyte / 2)).toBe("");
});

test("what does not fit is refused with the numbers", () => {
  expect(refusal(gigabyte, [demand(17, "Basic")])).toBe(
    "Cannot run web=17 of Basic at 64 MB each: that is 1088 MB of memory, this machine has 1024 MB, and 0 MB are promised to other dynos. Scale to fewer, or choose a smaller size.",
  );
  expect(refusal(gigabyte, [demand(9, "Basic")], gigabyte / 2)).toContain("512 MB are promised");
});

test("a size that is larger than the machine is refused by itself", () => {
  expect(refusal(2 * gigabyte, [demand(1, "Performance-M")])).toBe(
    "Cannot run web=1 as Performance-M: one needs 2560 MB, this machine has 2048 MB. Choose a smaller size.",
  );
  expect(refusal(2 * gigabyte, [demand(0, "Performance-2XL")])).toBe("");
});
