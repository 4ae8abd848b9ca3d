import { badNeighbours } from "../helpers/bad-neighbours.ts";
import type { BenchPlatform } from "./dynos.ts";
import { median } from "./median.ts";

const measureMs = 4000;
const rounds = 3;

/**
 * How long an app lets its clients wait while a dyno of another app does its worst, and is started
 * again as often as it is ended: the 99th percentile beside it, against the one of the quiet moment
 * just before; medians of some rounds.
 */
export async function benchNeighbours(
  { api, get, row }: Pick<BenchPlatform, "api" | "get" | "row">,
  apps: { quiet: string; bad: string },
): Promise<void> {
  const dynos = `/apps/${apps.bad}/dynos`;

  async function round(command: string): Promise<{ alone: number; beside: number }> {
    const alone = await waitedMs(() => get(apps.quiet));
    const going = keepGoing(command);
    await Bun.sleep(2000);
    const beside = await waitedMs(() => get(apps.quiet));
    await going.stop();
    await Bun.sleep(1000);
    return { alone, beside };
  }

  const oneOffs = async () =>
    ((await api("GET", dynos)) as { name: string; type: string }[]).filter(
      ({ type }) => type === "run",
    );

  /** A one-off with this command, and another one as soon as it has ended. */
  function keepGoing(command: string) {
    let stopping = false;
    async function go(): Promise<void> {
      while (!stopping) {
        if ((await oneOffs()).length === 0) await api("POST", dynos, { command });
        await Bun.sleep(200);
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
    const measured: { alone: number; beside: number }[] = [];
    while (measured.length < rounds) measured.push(await round(command));
    const alone = median(measured.map((one) => one.alone));
    const beside = median(measured.map((one) => one.beside));
    const ratios = measured.map((one) => (one.beside / one.alone).toFixed(2)).join(", ");
    row(
      `p99 of an app beside ${name}`,
      `${beside.toFixed(1)} ms, alone ${alone.toFixed(1)} ms: ${(beside / alone).toFixed(2)}× (rounds: ${ratios})`,
      "within 2×",
    );
  }
}

/** The 99th percentile of one client's requests, 100 a second. */
async function waitedMs(get: () => Promise<{ status: number }>): Promise<number> {
  const waits: number[] = [];
  for (const untilMs = performance.now() + measureMs; performance.now() < untilMs;) {
    const begun = performance.now();
    const { status } = await get();
    if (status !== 200) throw new Error(`the neighbour answers ${status}`);
    waits.push(performance.now() - begun);
    await Bun.sleep(10);
  }
  waits.sort((one, other) => one - other);
  return waits[Math.floor(waits.length * 0.99)] ?? 0;
}
