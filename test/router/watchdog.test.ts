import { expect, test } from "bun:test";
import { Watchdog } from "../../src/router/watchdog.ts";

/** A watchdog, and after how many milliseconds it has told whom. */
function watch() {
  const watchdog = new Watchdog();
  const startedAtMs = performance.now();
  const told: [name: string, afterMs: number][] = [];
  const watched = (name: string) => ({
    late: () => void told.push([name, performance.now() - startedAtMs]),
  });
  return { watchdog, told, watched };
}

test("tells once when the time is over, and not before", async () => {
  const { watchdog, told, watched } = watch();
  watchdog.set(30, watched("one"));
  await Bun.sleep(90);
  expect(told.map(([name]) => name)).toEqual(["one"]);
  expect(told[0]?.[1]).toBeGreaterThanOrEqual(29);
});

test("set anew, for later or for sooner, tells the last one at its time alone", async () => {
  const later = watch();
  later.watchdog.set(20, later.watched("first"));
  later.watchdog.set(60, later.watched("second"));
  const sooner = watch();
  sooner.watchdog.set(60_000, sooner.watched("first"));
  sooner.watchdog.set(20, sooner.watched("second"));
  await Bun.sleep(150);
  for (const { told } of [later, sooner]) expect(told.map(([name]) => name)).toEqual(["second"]);
  expect(later.told[0]?.[1]).toBeGreaterThanOrEqual(59);
});

test("cleared or closed it tells nobody; closed it cannot be set any more", async () => {
  const { watchdog, told, watched } = watch();
  watchdog.set(10, watched("cleared"));
  watchdog.clear();
  await Bun.sleep(30);
  watchdog.set(10, watched("closed"));
  watchdog.close();
  watchdog.set(10, watched("after its end"));
  await Bun.sleep(40);
  expect(told).toEqual([]);
});

test("may be set by the one that it tells", async () => {
  const { watchdog, told, watched } = watch();
  watchdog.set(5, {
    late: () => watchdog.set(5, watched("again")),
  });
  await Bun.sleep(60);
  expect(told.map(([name]) => name)).toEqual(["again"]);
});
