import { badNeighbours } from "../helpers/bad-neighbours.ts";
import type { BenchPlatform } from "./dynos.ts";
import { percentile } from "./figures.ts";
import { installTools } from "./router/install.ts";
import { steadyClient } from "./router/load.ts";

const rounds = 5;
const load = { perSecond: 100, seconds: 4 };
/** Before it is measured: what has just been started compiles itself still. */
const warmUp = { perSecond: 2000, seconds: 8 };
/** How often is looked whether the bad dyno is still there: each look is work for the platform. */
const lookEveryMs = 1000;

/**
 * How long an app lets its clients wait while a dyno of another app does its worst, and is started
 * again as often as it is ended: the 99th percentile of all requests beside it, against that of
 * the quiet moments just before each round.
 */
export async function benchNeighbours(
  { api, row }: Pick<BenchPlatform, "api" | "row">,
  apps: { quiet: { host: string; port: string }; bad: string },
  folder: string,
): Promise<void> {
  await installTools(["h2load"]);
  const dynos = `/apps/${apps.bad}/dynos`;

  async function waitsBeside(command: string | null): Promise<number[]> {
    const going = keepGoing(command);
    await Bun.sleep(2000);
    const waits = await steadyClient(apps.quiet, { ...load, folder });
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

  await steadyClient(apps.quiet, { ...warmUp, folder });
  for (const [name, command] of Object.entries(badNeighbours)) {
    const alone: number[] = [];
    const beside: number[] = [];
    for (let round = 0; round < rounds; round++) {
      alone.push(...(await waitsBeside(null)));
      beside.push(...(await waitsBeside(command)));
    }
    const [quietMs, badMs] = [percentile(alone, 99), percentile(beside, 99)];
    row(
      `p99 of an app beside ${name}`,
      `${badMs.toFixed(1)} ms, alone ${quietMs.toFixed(1)} ms: ${(badMs / quietMs).toFixed(2)}×`,
      "within 2×",
    );
  }
}
