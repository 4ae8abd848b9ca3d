import { constants, setPriority } from "node:os";
import { badNeighbours } from "../helpers/bad-neighbours.ts";
import type { BenchPlatform } from "./dynos.ts";

const measureMs = 4000;
const rounds = 5;
/** How often is looked whether the bad dyno is still there: each look is work for the platform. */
const lookEveryMs = 1000;

/**
 * How long an app lets its clients wait while a dyno of another app does its worst, and is started
 * again as often as it is ended: the 99th percentile of all requests beside it, against that of
 * the quiet moments just before each round.
 */
export async function benchNeighbours(
  { api, get, row }: Pick<BenchPlatform, "api" | "get" | "row">,
  apps: { quiet: string; bad: string },
): Promise<void> {
  // A client is on another machine, and waits for no processor of this one.
  setPriority(constants.priority.PRIORITY_HIGHEST);
  const dynos = `/apps/${apps.bad}/dynos`;

  async function waitsBeside(command: string | null): Promise<number[]> {
    const going = keepGoing(command);
    await Bun.sleep(2000);
    const waits = await waitsMs(() => get(apps.quiet));
    await going.stop();
    return waits;
  }

  const oneOffs = async () =>
    ((await api("GET", dynos)) as { name: string; type: string }[]).filter(
      ({ type }) => type === "run",
    );

  /** A one-off with this command, and another one when it has ended; without one the looks alone. */
  function keepGoing(command: string | null) {
    let stopping = false;
    async function go(): Promise<void> {
      while (!stopping) {
        if ((await oneOffs()).length === 0 && command) await api("POST", dynos, { command });
        await Bun.sleep(lookEveryMs);
      }
      for (let left = await oneOffs(); left.length > 0; left = await oneOffs()) {
        await Promise.all(
          left.map(({ name }) => api("POST", `${dynos}/${name}/actions/stop`).catch(() => {})),
        );
        await Bun.sleep(100);
      }
    }
    const gone = go();
    return {
      stop() {
        stopping = true;
        return gone;
      },
    };
  }

  for (const [name, command] of Object.entries(badNeighbours)) {
    const alone: number[] = [];
    const beside: number[] = [];
    for (let round = 0; round < rounds; round++) {
      alone.push(...(await waitsBeside(null)));
      beside.push(...(await waitsBeside(command)));
    }
    const [quietMs, badMs] = [percentile99(alone), percentile99(beside)];
    row(
      `p99 of an app beside ${name}`,
      `${badMs.toFixed(1)} ms, alone ${quietMs.toFixed(1)} ms: ${(badMs / quietMs).toFixed(2)}×`,
      "within 2×",
    );
  }
}

function percentile99(waits: number[]): number {
  const sorted = waits.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}

/** What one client waits for, 100 requests a second. */
async function waitsMs(get: () => Promise<{ status: number }>): Promise<number[]> {
  const waits: number[] = [];
  for (const untilMs = performance.now() + measureMs; performance.now() < untilMs;) {
    const begun = performance.now();
    const { status } = await get();
    if (status !== 200) throw new Error(`the neighbour answers ${status}`);
    waits.push(performance.now() - begun);
    await Bun.sleep(10);
  }
  return waits;
}
