import { makeApp } from "../deploy/make-app.ts";
import type { Supervisor } from "../dyno/supervisor.ts";
import type { Account } from "../model/account.ts";
import { type App, deleteApp, updateApp } from "../model/app.ts";
import { hostStackName } from "../model/stack.ts";
import type { Repositories } from "../repository/repository.ts";
import type { Ground } from "./ground.ts";

/** Apps come, change and go. */
export interface Apps {
  /** Makes the app, its repository and its first two releases (contract §6.1). */
  createApp(options: {
    name?: string | undefined;
    user: Account;
    /** Its name; the machine's own software when left out. */
    stack?: string | undefined;
    /** What its owner calls this machine. */
    region?: string | undefined;
  }): Promise<App>;
  renameApp(app: App, name: string): Promise<App>;
  setMaintenance(app: App, on: boolean): Promise<App>;
  setFeature(app: App, name: string, enabled: boolean): Promise<App>;
  /** After so long without a request the app's dynos sleep; `null`: never, but for the size Eco. */
  setSleep(app: App, afterMs: number | null): Promise<App>;
  /** Stops its dynos, then deletes everything of it. */
  destroyApp(app: App): Promise<void>;
}

export function openApps(
  { database, vault, logs, stacks }: Ground,
  options: {
    supervisor: Supervisor;
    repositories: Repositories;
    routesChanged: () => Promise<void>;
    forgetBuilds: (app: App) => Promise<void>;
    sweep: () => Promise<void>;
  },
): Apps {
  const { supervisor, repositories, routesChanged } = options;

  async function changed(app: App, change: Parameters<typeof updateApp>[2]): Promise<App> {
    const after = updateApp(database, app, change);
    await routesChanged();
    return after;
  }

  return {
    async createApp({ stack = hostStackName, ...given }) {
      const app = makeApp({ database, vault, logs }, { ...given, ...stacks.meantBy(stack) });
      await repositories.ensure(app);
      await routesChanged();
      return app;
    },
    renameApp: (app, name) => changed(app, { name }),
    setMaintenance: (app, maintenance) => changed(app, { maintenance }),
    setFeature: (app, name, enabled) =>
      changed(app, { features: { ...app.features, [name]: enabled } }),
    async setSleep(app, afterMs) {
      const after = updateApp(database, app, { sleepAfterMs: afterMs });
      if (afterMs === null) await supervisor.wake(after);
      return after;
    },
    async destroyApp(app) {
      await supervisor.stopApp(app);
      deleteApp(database, app);
      await routesChanged();
      await repositories.remove(app);
      await options.forgetBuilds(app);
      await logs.remove(app.id);
      await options.sweep();
    },
  };
}
