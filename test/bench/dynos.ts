import { cpuTicks, findPids, pssMegabytes, sum } from "./processes.ts";

/** What this needs of the benchmark around it. */
export interface BenchPlatform {
  serverPid: number;
  /** Its master and workers. */
  routerPids: number[];
  /** Word in the command lines of its monitors. */
  runDir: string;
  api: (method: string, path: string, body?: unknown) => Promise<unknown>;
  get: (app: string) => Promise<{ status: number }>;
  row: (what: string, figure: string, goal?: string) => void;
}

interface Dyno {
  name: string;
  state: string;
}

const idleDynos = 200;
const idleSeconds = 20;

/**
 * Starts, stops, sleep and idleness of many dynos of an app with `web` (answers at once) and `idle`
 * (does nothing).
 */
export async function benchDynos(platform: BenchPlatform, app: string): Promise<void> {
  const { api, row } = platform;
  const scale = (type: string, quantity: number) =>
    api("PATCH", `/apps/${app}/formation`, { updates: [{ type, quantity }] });

  let started = performance.now();
  await scale("web", 50);
  await count(platform, app, { web: 50 });
  const upMs = performance.now() - started;
  row("ps:scale web=50 until all are up", `${(upMs / 1000).toFixed(1)} s`);
  row("web dynos started per second", ((49 * 1000) / upMs).toFixed(1));
  started = performance.now();
  await scale("web", 0);
  await count(platform, app, {});
  await monitorsBecome(platform, 0);
  row("time to stop 50 dynos", `${((performance.now() - started) / 1000).toFixed(1)} s`);

  const before = processesOf(platform);
  const memoryBefore = sum(before.map(pssMegabytes));
  started = performance.now();
  await scale("idle", idleDynos);
  await count(platform, app, { idle: idleDynos });
  const idleUpMs = performance.now() - started;
  row("idle dynos started per second", ((idleDynos * 1000) / idleUpMs).toFixed(1));
  await Bun.sleep(5000);
  const all = processesOf(platform);
  const memoryMegabytes = (sum(all.map(pssMegabytes)) - memoryBefore) / idleDynos;
  row("the platform's memory per idle dyno", `${memoryMegabytes.toFixed(2)} MB`, "under 3 MB");
  const ticksBefore = sum(all.map(cpuTicks));
  await Bun.sleep(idleSeconds * 1000);
  const ticks = sum(all.map(cpuTicks)) - ticksBefore;
  // 100 ticks are a second; 2 cores are 200 %.
  row(
    `CPU for ${idleDynos} idle dynos`,
    `${(ticks / idleSeconds).toFixed(2)} % of a core`,
    "under 2 %",
  );
  await scale("idle", 0);
  await monitorsBecome(platform, 0);

  await scale("web", 1);
  await count(platform, app, { web: 1 });
  const wakes: number[] = [];
  for (let round = 0; round < 5; round++) {
    await api("PATCH", `/apps/${app}`, { sleep_after: 1 });
    await count(platform, app, {});
    await monitorsBecome(platform, 0);
    started = performance.now();
    const { status } = await platform.get(app);
    if (status !== 200) throw new Error(`${app} answers ${status}`);
    wakes.push(performance.now() - started);
  }
  wakes.sort((one, other) => one - other);
  row("wake from sleep to the answer", `${(wakes[2] ?? 0).toFixed(0)} ms`, "under 500 ms");
  await api("PATCH", `/apps/${app}`, { sleep_after: null });
}

/** Waits until an app has exactly so many dynos of each type, all up. */
async function count(
  { api }: BenchPlatform,
  app: string,
  wanted: Record<string, number>,
): Promise<void> {
  for (;;) {
    // The list comes in pages of 200 unless more are asked for.
    const dynos = (await api("GET", `/apps/${app}/dynos`)) as Dyno[];
    const up = dynos.filter(({ state }) => state === "up");
    const total = sum(Object.values(wanted));
    if (dynos.length === total && up.length === total) return;
    if (dynos.some(({ state }) => state === "crashed")) throw new Error("a dyno has crashed");
    await Bun.sleep(10);
  }
}

async function monitorsBecome(platform: BenchPlatform, wanted: number): Promise<void> {
  while (monitors(platform).length !== wanted) await Bun.sleep(10);
}

function monitors({ runDir }: BenchPlatform): number[] {
  return findPids(runDir, "conmon");
}

function processesOf(platform: BenchPlatform): number[] {
  return [platform.serverPid, ...platform.routerPids, ...monitors(platform)];
}
