import { join } from "node:path";
import { goLive } from "./deploy/go-live.ts";
import { putIdleToSleep, wakeUp } from "./deploy/idle-apps.ts";
import { Rush } from "./deploy/rush.ts";
import type { LiveDyno } from "./dyno/live-dyno.ts";
import { findApp } from "./model/app.ts";
import { failInterruptedBuilds } from "./model/build.ts";
import { closeDatabase } from "./model/database.ts";
import { settleInterruptedReleases } from "./model/release.ts";
import { type Apps, openApps } from "./platform/apps.ts";
import { type Builds, openBuilds } from "./platform/builds.ts";
import { type Dynos, openDynos } from "./platform/dynos.ts";
import { type Ground, openGround } from "./platform/ground.ts";
import { openReleases, type Releases } from "./platform/releases.ts";
import { openWays, type RouterSurroundings, type Ways } from "./platform/ways.ts";
import { type PublicUrls, publicUrls } from "./public-urls.ts";
import { createRepositories, type Repositories } from "./repository/repository.ts";
import type { ServerSettings } from "./settings/server-settings.ts";

/** Everything below the doors, as the doors see it. */
export interface Platform
  extends
    Pick<Ground, "database" | "vault" | "logs" | "stacks" | "freeDiskBytes">,
    Apps,
    Dynos,
    Releases,
    Builds,
    Ways {
  urls: PublicUrls;
  repositories: Repositories;
  /** Why what dynos write has no limit on this machine; `null`: it has one. */
  noDiskQuota: string | null;
  /** Makes the world like the store says, again and again. A new router has to be told all. */
  reconcile(router: { isNew: boolean; pids: number[] }): Promise<void>;
  /** Lets everything go on without this server. */
  close(): Promise<void>;
  /** Stops all dynos and then the router, and removes every trace of them from the machine. */
  tearDown(stopRouter: () => Promise<void>): Promise<void>;
}

/** How a started router and this program are reached. */
export interface PlatformSurroundings extends RouterSurroundings {
  /** How this program is started again: its path, and its script while it is not compiled. */
  program: [string, ...string[]];
  /** The router's processes, the workers among them. */
  routerPids: number[];
}

/** Opens the data folder, builds what is below the doors, and takes over what runs. */
export async function createPlatform(
  settings: ServerSettings,
  surroundings: PlatformSurroundings,
): Promise<Platform> {
  const { router, program } = surroundings;
  const ground = await openGround(settings, program);
  const { dataDir, host, database, vault, logs, stacks, freeDiskBytes } = ground;
  const repositories = createRepositories({
    dir: join(dataDir, "git"),
    hooksDir: join(dataDir, "git-hooks"),
    program,
  });
  const urls = publicUrls(settings.domain, surroundings);

  // Routes lead to dynos, and dynos say when they have changed.
  const { ways, routes, seeToCertificates, ...waysEnd } = await openWays(ground, settings, {
    surroundings,
    liveDynos: (): LiveDyno[] => supervisor.liveDynos(),
  });
  const routesChanged = () => routes.publish();
  const { dynos, supervisor } = openDynos(ground, settings, { router, routesChanged });
  const { releases, context: release } = openReleases(ground, { supervisor, routesChanged });
  const { builds, sweep, sweepImageDisks, ...buildsEnd } = openBuilds(ground, settings, {
    release,
    webUrl: (app) => urls.web(app),
  });
  const apps = openApps(ground, {
    ...{ supervisor, repositories, routesChanged, sweep },
    forgetBuilds: (app) => builds.purgeBuildCache(app),
  });

  const openPorts = [surroundings.httpPort, surroundings.httpsPort].filter((port) => port !== null);
  const rush = new Rush(settings.rushPerSecond);
  failInterruptedBuilds(database);
  const interrupted = settleInterruptedReleases(database);
  await reconcileHost(surroundings.routerPids);
  await supervisor.recover();
  await supervisor.sweepDisks();
  await sweepImageDisks();
  await sweep();
  for (const one of interrupted)
    void goLive(release, findApp(database, one.appId), { release: one });
  await routes.publish();
  const wakes = router.events(({ wake }) => void wakeUp({ database, supervisor }, wake));

  async function reconcileHost(routerPids: number[]): Promise<void> {
    // Whoever has killed it: the next time it is there again.
    const activity = await router.activity().catch(() => undefined);
    const asked = activity && rush.look(activity, supervisor.liveDynos());
    await host.reconcile({ openPorts, routerPids, asked });
  }
  async function stopWork(): Promise<void> {
    waysEnd.close();
    wakes.close();
    await buildsEnd.stop();
  }
  async function letGo(): Promise<void> {
    host.close();
    await logs.close();
    closeDatabase(database);
  }

  return {
    ...{ database, vault, logs, stacks, freeDiskBytes, urls, repositories },
    ...{ ...apps, ...dynos, ...releases, ...builds, ...ways },
    noDiskQuota: host.disks.reason,
    async reconcile({ isNew, pids }) {
      if (isNew) routes.forget();
      await reconcileHost(pids);
      await routes.publish();
      seeToCertificates();
      supervisor.tick();
      await putIdleToSleep({ database, supervisor, router });
    },
    async close() {
      await stopWork();
      await supervisor.close();
      // Builds hang on this server's clients, and end with it.
      for (const id of (await host.runtime.list()).keys())
        if (id.startsWith("build-")) await host.runtime.destroy(id);
      await letGo();
    },
    async tearDown(stopRouter) {
      await stopWork();
      await supervisor.stopAll();
      for (const id of (await host.runtime.list()).keys()) await host.runtime.destroy(id);
      // It is in one of the groups that go now.
      await stopRouter();
      await letGo();
      await host.remove();
    },
  };
}
