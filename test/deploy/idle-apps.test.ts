import { expect, test } from "bun:test";
import { sleepAfterMs } from "../../src/deploy/idle-apps.ts";

const web = (size: string, quantity = 1) => [{ type: "web", quantity, size }];

test("Eco dynos sleep after 30 minutes, others when they are told to", () => {
  expect(sleepAfterMs({ sleepAfterMs: null }, web("Eco"))).toBe(30 * 60_000);
  expect(sleepAfterMs({ sleepAfterMs: null }, web("Basic"))).toBeUndefined();
  expect(sleepAfterMs({ sleepAfterMs: 90_000 }, web("Basic"))).toBe(90_000);
  expect(sleepAfterMs({ sleepAfterMs: 90_000 }, web("Eco"))).toBe(90_000);
});

test("an app without a web dyno never sleeps: nobody could wake it", () => {
  expect(sleepAfterMs({ sleepAfterMs: 90_000 }, web("Eco", 0))).toBeUndefined();
  expect(
    sleepAfterMs({ sleepAfterMs: 90_000 }, [{ type: "worker", quantity: 1, size: "Eco" }]),
  ).toBeUndefined();
});
