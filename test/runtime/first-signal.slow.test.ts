import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ContainerBench, openContainerBench } from "../helpers/container-bench.ts";

let bench: ContainerBench;

beforeAll(async () => {
  bench = await openContainerBench();
  await bench.runtime.network.reconcile({ openPorts: [] });
});
afterAll(() => bench.close());

test("a signal at any moment of a container's start ends its program, and never what sets it up", async () => {
  for (let delayMs = 10; delayMs < 70; delayMs++) {
    const id = `test-${crypto.randomUUID()}`;
    const spec = bench.spec("sleep 1000", { id, network: bench.runtime.reserveAddress(id) });
    const run = bench.runtime.attach(spec, { output: () => {} });
    await Bun.sleep(delayMs);
    await bench.runtime.signal(id, "TERM");
    expect([delayMs, await run.exited]).toEqual([delayMs, 143]);
  }
});
