import type { Supervisor } from "../dyno/supervisor.ts";
import { type App, listApps, lookUpApp } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import { sleepingDynoSize } from "../model/dyno-size.ts";
import { type Formation, listFormation } from "../model/formation.ts";
import type { RouterClient } from "../router/router-client.ts";

export interface IdleContext {
  database: Database;
  supervisor: Supervisor;
  router: Pick<RouterClient, "activity">;
}

/** Eco dynos sleep after half an hour (contract §1.6). */
const ecoSleepAfterMs = 30 * 60_000;

/** After how long without a request an app sleeps; nothing for one that never does. Pure. */
export function sleepAfterMs(
  app: Pick<App, "sleepAfterMs">,
  formation: Pick<Formation, "type" | "quantity" | "size">[],
): number | undefined {
  const web = formation.find(({ type, quantity }) => type === "web" && quantity > 0);
  if (!web) return undefined;
  return app.sleepAfterMs ?? (web.size === sleepingDynoSize ? ecoSleepAfterMs : undefined);
}

/** Puts the apps to sleep that nobody has asked for anything for long enough. */
export async function putIdleToSleep({ database, supervisor, router }: IdleContext): Promise<void> {
  const candidates = listApps(database).flatMap((app) => {
    const afterMs = app.asleep ? undefined : sleepAfterMs(app, listFormation(database, app));
    return afterMs === undefined ? [] : [{ app, afterMs }];
  });
  if (candidates.length === 0) return;
  const { apps, observedMs } = await router.activity();
  for (const { app, afterMs } of candidates) {
    const seen = apps[app.id];
    const idleMs = seen ? (seen.requests + seen.tunnels > 0 ? 0 : seen.idleMs) : observedMs;
    if (Math.min(idleMs, upForMs(supervisor, app)) >= afterMs) await supervisor.sleep(app);
  }
}

/** How long all of its web dynos have been up; nothing is put to sleep that is on its way up. */
function upForMs(supervisor: Supervisor, app: App): number {
  const web = supervisor
    .liveDynos(app)
    .filter(({ dyno }) => dyno.type === "web" && !dyno.leaving)
    .map(({ state, dyno }) => (state === "up" ? Date.now() - dyno.updatedAt.getTime() : 0));
  return web.length === 0 ? 0 : Math.min(...web);
}

/** Somebody waits for an app that sleeps. */
export async function wakeUp(
  { database, supervisor }: Pick<IdleContext, "database" | "supervisor">,
  appId: string,
): Promise<void> {
  const app = lookUpApp(database, appId);
  if (app) await supervisor.wake(app);
}
