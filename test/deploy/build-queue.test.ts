import { expect, test } from "bun:test";
import { createBuildQueue } from "../../src/deploy/build-queue.ts";

const never = new AbortController().signal;

test("so many build at once, the others wait in their order and hear how many are before them", async () => {
  const queue = createBuildQueue(2);
  const before: number[] = [];
  const began: string[] = [];
  const enter = (name: string) =>
    queue.take({ signal: never, wait: (count) => void before.push(count) }).then((leave) => {
      began.push(name);
      return leave;
    });
  const [leaveFirst] = await Promise.all([enter("first"), enter("second")]);
  const third = enter("third");
  const fourth = enter("fourth");
  await Bun.sleep(5);
  expect(began).toEqual(["first", "second"]);
  expect(before).toEqual([0, 1]);
  leaveFirst?.();
  leaveFirst?.();
  await third;
  await Bun.sleep(5);
  expect(began).toEqual(["first", "second", "third"]);
  (await third)();
  await fourth;
});

test("who gives up waiting takes nobody's place", async () => {
  const queue = createBuildQueue(1);
  const leave = await queue.take({ signal: never, wait() {} });
  const gone = new AbortController();
  const left = queue
    .take({ signal: gone.signal, wait() {} })
    .catch((error: Error) => error.message);
  const next = queue.take({ signal: never, wait() {} });
  gone.abort(new Error("gone"));
  expect(await left).toBe("gone");
  leave();
  (await next)();
  (await queue.take({ signal: never, wait() {} }))();
});
