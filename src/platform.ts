import { createHash } from "node:crypto";
import { statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { createBuilder } from "./build/build.ts";
import { installBuildpacks } from "./build/buildpacks.ts";
import { hostStack } from "./build/stack.ts";
import { selfSignedCertificate } from "./certs/self-signed.ts";
import { changeConfig } from "./deploy/change-config.ts";
import { makeApp } from "./deploy/make-app.ts";
import { DeployLock } from "./deploy/deploy-lock.ts";
import { deploy, type DeployRequest } from "./deploy/deploy.ts";
import { goLive } from "./deploy/go-live.ts";
import { createReleaseOutputs } from "./deploy/release-outputs.ts";
import { putIdleToSleep, wakeUp } from "./deploy/idle-apps.ts";
import { rollBack } from "./deploy/rollback.ts";
import { createRoutePublisher, routeTable } from "./deploy/routes.ts";
import { type FormationUpdate, scale } from "./deploy/scale.ts";
import { sweepReleaseOutputs, sweepSlugs } from "./deploy/sweep.ts";
import type { AttachedDyno, AttachedProgram } from "./dyno/attached-dyno.ts";
import type { InsideOrder, OneOffOrder } from "./dyno/one-offs.ts";
import { Supervisor } from "./dyno/supervisor.ts";
import { createSerializer } from "./lib/lock.ts";
import { logTime } from "./logs/log-line.ts";
import { createLogs } from "./logs/log-store.ts";
import type { Logs } from "./logs/logs.ts";
import type { Account } from "./model/account.ts";
import { type App, deleteApp, findApp, updateApp } from "./model/app.ts";
import { failInterruptedBuilds } from "./model/build.ts";
import type { ConfigVars } from "./model/config-vars.ts";
import { closeDatabase, type Database, openDatabase } from "./model/database.ts";
import { type Dyno, dynoName } from "./model/dyno.ts";
import { type DynoSizes, readDynoSizes } from "./model/dyno-size.ts";
import type { Formation } from "./model/formation.ts";
import { findRelease, type Release, settleInterruptedReleases } from "./model/release.ts";
import { openVault, type Vault } from "./model/vault.ts";
import { type PublicUrls, publicUrls } from "./public-urls.ts";
import { createRepositories, type Repositories } from "./repository/repository.ts";
import type { RouterClient } from "./router/router-client.ts";
import { dynosDir, openRuntime } from "./runtime/open-runtime.ts";
import type { TerminalSize } from "./runtime/runtime.ts";
import type { ServerSettings } from "./settings.ts";
import { createSlugStore } from "./slug/slug-store.ts";

/** Everything below the doors, as the doors see it. */
export interface Platform {
  database: Database;
  vault: Vault;
  logs: Logs;
  urls: PublicUrls;
  /** Makes the app, its repository and its first two releases (contract §6.1). */
  createApp(options: { name?: string | undefined; user: Account }): Promise<App>;
  renameApp(app: App, name: string): Promise<App>;
  setMaintenance(app: App, on: boolean): Promise<App>;
  /** Stops its dynos, then deletes everything of it. */
  destroyApp(app: App): Promise<void>;
  /** One release for one change; none when nothing changes. Dynos follow in the background. */
  changeConfig(
    app: App,
    options: { change: Record<string, string | null>; user: Account },
  ): Promise<{ vars: ConfigVars; release: Release | null }>;
  /** A new release with the slug and the config of an old one. Dynos follow in the background. */
  rollBack(app: App, options: { to: Release; user: Account }): Promise<Release>;
  /** Dynos as the kernel has them. */
  listDynos(app: App): Dyno[];
  /** All dynos of the formation, or one (`web.1`) or one type (`web`). */
  restartDynos(app: App, name?: string): Promise<void>;
  /** Ends a one-off dyno; a dyno of the formation, or those of a type, are started again. */
  stopDynos(app: App, name: string): void;
  /** Changes quantities and sizes, all or none of them. Dynos follow in the background. */
  scale(app: App, options: { updates: FormationUpdate[]; user: Account }): Formation[];
  /** The sizes that dynos can have. */
  sizes: DynoSizes;
  setFeature(app: App, name: string, enabled: boolean): App;
  /** After so long without a request the app's dynos sleep; `null`: never, but for the size Eco. */
  setSleep(app: App, afterMs: number | null): Promise<App>;
  /** Starts an attached one-off dyno in the current release. */
  runAttached(
    app: App,
    order: OneOffOrder & { terminal: TerminalSize | null },
  ): Promise<AttachedDyno>;
  /** Starts a one-off dyno whose output goes to the log. */
  runDetached(app: App, order: OneOffOrder): Promise<Dyno>;
  /** Runs one more program inside a dyno that runs. */
  runInside(app: App, order: InsideOrder & { user: Account }): AttachedProgram;
  /** What a release's command said, and says until its end. */
  releaseOutput(app: App, release: Release): ReadableStream<Uint8Array>;
  /** The whole way of one push; returns whether it is accepted. */
  deploy(app: App, request: DeployRequest): Promise<boolean>;
  repositories: Repositories;
  /** Why what dynos write has no limit on this machine; `null`: it has one. */
  noDiskQuota: string | null;
  /** What is left on the data folder's disk. */
  freeDiskBytes(): number;
  /** Makes the world like the store says, again and again. A new router has to be told all. */
  reconcile(options: { routerIsNew: boolean }): Promise<void>;
  /** Lets everything go on without this server. */
  close(): Promise<void>;
  /** Stops all dynos and removes every trace of them from the machine. */
  tearDown(): Promise<void>;
}

/** How a started router and this program are reached. */
export interface PlatformSurroundings {
  router: RouterClient;
  /** Public ports; the ones in the URLs. */
  httpPort: number | null;
  httpsPort: number | null;
  /** Unix socket of API and git. */
  platformSocket: string;
  /** How this program is started again: its path, and its script while it is not compiled. */
  program: [string, ...string[]];
}

const drainTimeoutMs = 30_000;
const mebibyte = 1024 * 1024;

/** Opens the data folder, builds what is below the doors, and takes over what runs. */
export async function createPlatform(
  settings: ServerSettings,
  surroundings: PlatformSurroundings,
): Promise<Platform> {
  const { dataDir, domain } = settings;
  const { router, platformSocket } = surroundings;
  const { program } = surroundings;
  const host = await openRuntime(settings.runtime, {
    dataDir,
    instance: instanceOf(dataDir),
    program,
    dynoDiskBytes: settings.dynoDiskBytes,
  });
  const { runtime, box } = host;
  const database = openDatabase(join(dataDir, "stator.db"));
  const vault = openVault(join(dataDir, "key"));
  const logs = createLogs({ dir: join(dataDir, "logs"), bounds: settings.logs });
  const buildpacksDir = join(dataDir, "buildpacks");
  installBuildpacks(buildpacksDir);
  const slugs = createSlugStore(join(dataDir, "slugs"), join(box, "slugs"));
  const repositories = createRepositories({
    dir: join(dataDir, "git"),
    hooksDir: join(dataDir, "git-hooks"),
    program,
  });
  const stack = await hostStack();
  const certificates =
    surroundings.httpsPort === null
      ? []
      : [await selfSignedCertificate(join(dataDir, "certificates"), domain)];

  const sizes = readDynoSizes(join(dataDir, "dyno-sizes.json"));
  const supervisor = new Supervisor({
    database,
    logs,
    runtime,
    vault,
    slugs,
    dynosDir: dynosDir(box),
    disks: host.disks,
    bootTimeoutMs: settings.bootTimeoutMs,
    stopTimeoutMs: 30_000,
    sizes,
    hostOf: (app) => `${app.name}.${domain}`,
    routes: {
      changed: () => routes.publish(),
      async drain(dynoId) {
        await router.drain(dynoId, { timeoutMs: drainTimeoutMs }).catch(() => {});
      },
    },
  });

  const routes = createRoutePublisher(router, () =>
    routeTable({
      ...{ database, domain, platformSocket, certificates },
      liveDynos: supervisor.liveDynos(),
    }),
  );
  const builder = createBuilder({
    runtime,
    slugs,
    buildsDir: join(box, "builds"),
    cachesDir: join(box, "caches"),
    buildpacksDir,
    program: program[0],
    environment: settings.buildEnvironment,
    caBundle: settings.buildEnvironment.STATOR_BUILD_CA_BUNDLE,
    limits: { memoryBytes: buildMemoryBytes(), cpuWeight: 50, maxProcesses: 1024 },
    timeoutMs: settings.buildTimeoutMs,
  });

  const urls = publicUrls(domain, surroundings);
  const outputs = createReleaseOutputs(join(dataDir, "release-outputs"));
  const release = { database, vault, logs, supervisor, outputs, inOrder: createSerializer() };
  const lock = new DeployLock();
  const openPorts = [surroundings.httpPort, surroundings.httpsPort].filter((port) => port !== null);

  async function sweep(): Promise<void> {
    await sweepSlugs(database, slugs, supervisor.liveDynos());
    sweepReleaseOutputs(database, outputs);
  }

  failInterruptedBuilds(database);
  const interrupted = settleInterruptedReleases(database);
  await host.reconcile({ openPorts });
  await supervisor.recover();
  await supervisor.sweepDisks();
  await sweep();
  for (const one of interrupted)
    void goLive(release, findApp(database, one.appId), { release: one });
  await routes.publish();
  const wakes = router.events(({ wake }) => void wakeUp({ database, supervisor }, wake));

  return {
    database,
    vault,
    logs,
    urls,
    repositories,
    noDiskQuota: host.disks.reason,
    freeDiskBytes: () => freeBytes(dataDir),
    async createApp(options) {
      const app = makeApp({ database, vault, logs }, { ...options, stack });
      await repositories.ensure(app);
      await routes.publish();
      return app;
    },
    async renameApp(app, name) {
      const renamed = updateApp(database, app, { name });
      await routes.publish();
      return renamed;
    },
    async setMaintenance(app, on) {
      const changed = updateApp(database, app, { maintenance: on });
      await routes.publish();
      return changed;
    },
    async destroyApp(app) {
      await supervisor.stopApp(app);
      deleteApp(database, app);
      await routes.publish();
      await repositories.remove(app);
      await builder.forget(app);
      await logs.remove(app.id);
      await sweep();
    },
    changeConfig: async (app, options) => changeConfig(release, app, options),
    rollBack: async (app, options) => rollBack(release, app, options),
    listDynos: (app) => supervisor.list(app),
    restartDynos: (app, name) => supervisor.restart(app, name),
    stopDynos: (app, name) => supervisor.stop(app, name),
    scale: (app, options) =>
      scale({ database, logs, supervisor, sizes, machineBytes: totalmem() }, app, options),
    sizes,
    setFeature: (app, name, enabled) =>
      updateApp(database, app, { features: { ...app.features, [name]: enabled } }),
    async setSleep(app, afterMs) {
      const changed = updateApp(database, app, { sleepAfterMs: afterMs });
      if (afterMs === null) await supervisor.wake(changed);
      return changed;
    },
    runAttached: (app, options) => supervisor.oneOffs.runAttached(app, options),
    runDetached: (app, options) => supervisor.oneOffs.runDetached(app, options),
    runInside(app, options) {
      const { dyno, command, user } = options;
      const message = `Running ${command} inside ${dynoName(dyno)} by user ${user.email}`;
      logs.write(app.id, { at: logTime(), source: "app", dyno: "api", message });
      return supervisor.oneOffs.runInside(app, options);
    },
    releaseOutput: (app, one) =>
      outputs.read(one, () => findRelease(database, app, one.id).status !== "pending"),
    async deploy(app, request) {
      const accepted = await deploy(
        {
          ...release,
          builder,
          lock,
          webUrl: (one) => urls.web(one),
          freeDiskBytes: () => freeBytes(dataDir),
        },
        app,
        request,
      );
      await sweep();
      return accepted;
    },
    async reconcile({ routerIsNew }) {
      if (routerIsNew) routes.forget();
      await host.reconcile({ openPorts });
      await routes.publish();
      supervisor.tick();
      await putIdleToSleep({ database, supervisor, router });
    },
    async close() {
      wakes.close();
      await supervisor.close();
      // Builds hang on this server's clients, and end with it.
      for (const id of (await runtime.list()).keys())
        if (id.startsWith("build-")) await runtime.destroy(id);
      host.close();
      await logs.close();
      closeDatabase(database);
    },
    async tearDown() {
      wakes.close();
      await supervisor.stopAll();
      for (const id of (await runtime.list()).keys()) await runtime.destroy(id);
      host.close();
      await logs.close();
      closeDatabase(database);
      await host.remove();
    },
  };
}

/** A build gets 2 GB, but never more than three quarters of a small machine. */
function buildMemoryBytes(): number {
  return Math.min(2048 * mebibyte, Math.floor(totalmem() * 0.75));
}

/** Four hex digits that tell the things of one data folder from another's. */
function instanceOf(dataDir: string): string {
  return createHash("sha256").update(dataDir).digest("hex").slice(0, 4);
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
