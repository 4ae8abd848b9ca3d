import { badNeighbours } from "../helpers/bad-neighbours.ts";
import type { BenchPlatform } from "./dynos.ts";
import { percentile } from "./figures.ts";
import { installTools } from "./router/install.ts";
import { steadyClient } from "./router/load.ts";

const rounds = 5;
const seconds = 4;
/** Before it is measured: what has just been started compiles itself still. */
const warmUp = { perSecond: 2000, seconds: 8 };
/** How often is looked whether the bad dyno is still there: each look is work for the platform. */
const lookEveryMs = 1000;

/** What is asked, and how often in a second. */
interface App {
  host: string;
  port: string;
  perSecond: number;
}

/**
 * How long an app lets its clients wait while a dyno of another app does its worst, and is started
 * again as often as it is ended: the 99th percentile of all requests beside it, against that of
 * the quiet moments just before each round. One app only answers, so that every wait shows; another
 * one computes for its answers, as most do.
 */
export async function benchNeighbours(
  { api, row }: Pick<BenchPlatform, "api" | "row">,
  apps: { quick: App; working: App; bad: string },
  folder: string,
): Promise<void> {
  await installTools(["h2load"]);
  const dynos = `/apps/${apps.bad}/dynos`;

  async function waitsBeside(app: App, command: string | null): Promise<number[]> {
    const going = keepGoing(command);
    await Bun.sleep(2000);
    const waits = await steadyClient(app, { perSecond: app.perSecond, seconds, folder });
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

  async function compare(what: string, app: App, command: string): Promise<void> {
    const alone: number[] = [];
    const beside: number[] = [];
    for (let round = 0; round < rounds; round++) {
      alone.push(...(await waitsBeside(app, null)));
      beside.push(...(await waitsBeside(app, command)));
    }
    const [quietMs, badMs] = [percentile(alone, 99), percentile(beside, 99)];
    row(
      `p99 of ${what}`,
      `${badMs.toFixed(1)} ms, alone ${quietMs.toFixed(1)} ms: ${(badMs / quietMs).toFixed(2)}×`,
      "within 2×",
    );
  }

  await steadyClient(apps.quick, { ...warmUp, folder });
  for (const [name, command] of Object.entries(badNeighbours)) {
    await compare(`an app beside ${name}`, apps.quick, command);
    if (name === "a busy loop")
      await compare(`an app that computes, beside ${name}`, apps.working, command);
  }
}
