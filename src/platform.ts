import { createHash } from "node:crypto";
import { statfsSync } from "node:fs";
import { networkInterfaces, totalmem } from "node:os";
import { join } from "node:path";
import { createBuilder } from "./build/build.ts";
import { createBuildpackNames } from "./build/buildpack-names.ts";
import { createBuildpackStore } from "./build/buildpack-store.ts";
import { builtInNames, installBuildpacks } from "./build/buildpacks.ts";
import { hostStack } from "./build/stack.ts";
import { createAutomaticCertificates } from "./certs/automatic-certificates.ts";
import { openCertificateFolder } from "./certs/certificate-files.ts";
import { type CertificateFiles, selfSignedCertificate } from "./certs/self-signed.ts";
import { createCertificateStore } from "./deploy/automatic-certificates.ts";
import { type Certificates, openCertificates, routedCertificates } from "./deploy/certificates.ts";
import { changeConfig } from "./deploy/change-config.ts";
import { type Domains, openDomains } from "./deploy/domains.ts";
import { makeApp } from "./deploy/make-app.ts";
import { DeployLock } from "./deploy/deploy-lock.ts";
import {
  cancelBuild,
  deploy,
  type DeployContext,
  type DeployRequest,
  stopBuilds,
} from "./deploy/deploy.ts";
import { goLive } from "./deploy/go-live.ts";
import { createBuildQueue } from "./deploy/build-queue.ts";
import { createKeptOutputs } from "./deploy/kept-outputs.ts";
import { type ImageUpdate, releaseImages } from "./deploy/release-images.ts";
import { releaseSlug } from "./deploy/release-slug.ts";
import { type ArchiveAddress, imageSource, sourceArchive } from "./deploy/source-archive.ts";
import { putIdleToSleep, wakeUp } from "./deploy/idle-apps.ts";
import { tell } from "./deploy/release-context.ts";
import { rollBack } from "./deploy/rollback.ts";
import { createRoutePublisher, routeTable } from "./deploy/routes.ts";
import { openStacks, type Stacks } from "./deploy/stacks.ts";
import { type FormationUpdate, scale } from "./deploy/scale.ts";
import { sweepAll, sweepApp } from "./deploy/sweep.ts";
import { changeVisitorRules, type VisitorRulesChange } from "./deploy/visitor-rules.ts";
import type { AttachedDyno, AttachedProgram } from "./dyno/attached-dyno.ts";
import type { InsideOrder, OneOffOrder } from "./dyno/one-offs.ts";
import { Supervisor } from "./dyno/supervisor.ts";
import { createImageStore } from "./image/image-store.ts";
import { createSerializer } from "./lib/lock.ts";
import { logTime } from "./logs/log-line.ts";
import { createLogs } from "./logs/log-store.ts";
import type { Logs } from "./logs/logs.ts";
import type { Account } from "./model/account.ts";
import { type App, containerStack, deleteApp, findApp, listApps, updateApp } from "./model/app.ts";
import {
  type Build,
  failInterruptedBuilds,
  olderBuilds,
  outdatedBuilds,
  type SourceBlob,
} from "./model/build.ts";
import { listBuildpacks, setBuildpacks } from "./model/buildpack-installation.ts";
import type { BuildpackName } from "./model/buildpack-source.ts";
import type { ConfigVars } from "./model/config-vars.ts";
import { closeDatabase, type Database, openDatabase } from "./model/database.ts";
import { type Dyno, dynoName } from "./model/dyno.ts";
import { type DynoSizes, readDynoSizes } from "./model/dyno-size.ts";
import type { Formation } from "./model/formation.ts";
import {
  findRelease,
  type Release,
  settleInterruptedReleases,
  unknownReleases,
} from "./model/release.ts";
import { createSlug, type Slug } from "./model/slug.ts";
import { noteUploadChecksum, type SlugUpload } from "./model/slug-upload.ts";
import { hostStackName } from "./model/stack.ts";
import { openVault, type Vault } from "./model/vault.ts";
import type { VisitorRules } from "./model/visitor-rules.ts";
import { type PublicUrls, publicUrls } from "./public-urls.ts";
import { createRepositories, type Repositories } from "./repository/repository.ts";
import { createSourceStore, type SourceStore } from "./repository/source-store.ts";
import { isPublicAddress } from "./router/addresses.ts";
import type { RouterClient } from "./router/router-client.ts";
import { createKeptDisks } from "./runtime/kept-disks.ts";
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
  createApp(options: {
    name?: string | undefined;
    user: Account;
    /** Its name; the machine's own software when left out. */
    stack?: string | undefined;
  }): Promise<App>;
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
  /** The certificate of the platform's own names, for what is not behind the router. */
  ownCertificate(): Promise<CertificateFiles>;
  /** The sizes that dynos can have. */
  sizes: DynoSizes;
  setFeature(app: App, name: string, enabled: boolean): Promise<App>;
  domains: Domains;
  certificates: Certificates;
  /** Who may visit the app, and how. */
  changeVisitorRules(
    app: App,
    options: { change: VisitorRulesChange; user: Account },
  ): Promise<VisitorRules>;
  /** Where the internet finds this machine, as far as its network cards know. */
  publicAddresses(): string[];
  /** What apps are built for and run on. */
  stacks: Stacks;
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
  /** Begins a build from an archive; its release follows by itself (contract §4.5). */
  startBuild(
    app: App,
    order: {
      user: Account;
      address: ArchiveAddress;
      blob: SourceBlob;
      buildpacks: BuildpackName[] | undefined;
      /** The archive is an image for this process type, and is not released yet. */
      imageFor: string | undefined;
    },
  ): Build;
  /** In the place of all that were set; names that mean nothing are refused. */
  setBuildpacks(app: App, buildpacks: string[]): Promise<void>;
  cancelBuild(app: App, options: { build: Build; user: Account }): void;
  /** What a build said; with `follow` also what it says until its deploy is over. */
  buildOutput(build: Build, options: { follow: boolean }): ReadableStream<Uint8Array>;
  purgeBuildCache(app: App): Promise<void>;
  /** What builds of the app keep for the next one, as a gzip tar; nothing when there is nothing. */
  buildCache(app: App): ReadableStream<Uint8Array> | undefined;
  /** What was uploaded, to build or to release it. */
  sources: SourceStore;
  /** Makes a slug of what was uploaded for it. */
  finishSlug(app: App, upload: SlugUpload): Promise<void>;
  /** The archive of a slug. */
  slugArchive(slug: Slug): Blob;
  /** A new release of a slug. Dynos follow in the background. */
  releaseSlug(
    app: App,
    options: { slug: Slug; user: Account; description: string | undefined },
  ): Release;
  /** A new release in which types have pushed images. Dynos follow in the background. */
  releaseImages(
    app: App,
    options: { updates: ImageUpdate[]; user: Account },
  ): { release: Release; slug: Slug };
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
  /** Where the router brings clients of attached dynos. */
  rendezvousSocket: string;
  /** How this program is started again: its path, and its script while it is not compiled. */
  program: [string, ...string[]];
}

const drainTimeoutMs = 30_000;
/** The outputs of so many builds of each app are kept. */
const keptBuildOutputs = 50;
const mebibyte = 1024 * 1024;

/** Opens the data folder, builds what is below the doors, and takes over what runs. */
export async function createPlatform(
  settings: ServerSettings,
  surroundings: PlatformSurroundings,
): Promise<Platform> {
  const { dataDir, domain } = settings;
  const { router, platformSocket, rendezvousSocket } = surroundings;
  const { program } = surroundings;
  const host = await openRuntime(settings.runtime, {
    dataDir,
    instance: instanceOf(dataDir),
    program,
    dynoDiskBytes: settings.dynoDiskBytes,
    dynoDiskBytesPerSecond: settings.dynoDiskBytesPerSecond,
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
  const announced = await hostStack();
  const images = createImageStore({
    folder: join(box, "images"),
    environment: registryEnvironment(settings.buildEnvironment),
    freeDiskBytes: () => freeBytes(dataDir),
    minFreeDiskBytes: 1024 * mebibyte,
  });
  const stacks = openStacks({
    ...{ database, logs, images, runtime, hostStack: announced },
    builtIn: settings.runtime === "oci" ? [hostStackName, containerStack] : [hostStackName],
    refusal:
      settings.runtime === "oci"
        ? null
        : "This server runs plain processes, on the machine's own software; images need --runtime oci.",
  });
  const { acme } = settings;
  const certificateFolder = openCertificateFolder(join(dataDir, "router", "certificates"));
  const names = { domain, hasDnsHook: acme?.dnsHook !== undefined };
  const challenges: Record<string, string> = {};
  const selfSigned = () => selfSignedCertificate(join(dataDir, "certificates"), domain);
  const certificatesOfOurMaking = surroundings.httpsPort === null ? [] : [await selfSigned()];
  const signedCertificates = () =>
    routedCertificates({ database, vault, names, folder: certificateFolder });

  const sizes = readDynoSizes(join(dataDir, "dyno-sizes.json"));
  const supervisor = new Supervisor({
    database,
    logs,
    runtime,
    vault,
    slugs,
    stackOf: (slug) => stacks.toRun(slug),
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

  const routes = createRoutePublisher(
    router,
    () =>
      routeTable({
        ...{ database, vault, domain, platformSocket, rendezvousSocket, challenges },
        certificates: [...certificatesOfOurMaking, ...signedCertificates()],
        liveDynos: supervisor.liveDynos(),
      }),
    (table) => certificateFolder.retain(table.certificates),
  );
  const store = createCertificateStore({
    ...{ database, vault, names, directoryUrl: acme?.directoryUrl ?? "" },
    tell: (app, message) =>
      app ? tell({ logs }, app, message) : void process.stderr.write(`${message}\n`),
  });
  const automatic =
    acme &&
    createAutomaticCertificates({
      ...{ store, authority: acme, httpPort: acme.httpPort, dnsServers: acme.dnsServers },
      dnsHook: acme.dnsHook === undefined ? undefined : [acme.dnsHook],
      isReachable: acme.isPublic ? isPublicAddress : undefined,
      http01: {
        async put(token, value) {
          challenges[token] = value;
          await routes.publish();
        },
        async remove(token) {
          delete challenges[token];
          await routes.publish();
        },
      },
      onIssued: () => routes.publish(),
    });
  const buildpackNames = createBuildpackNames({
    registry: settings.buildpacks.registry,
    builtIn: builtInNames(buildpacksDir),
  });
  const imageDisks =
    settings.runtime === "oci"
      ? createKeptDisks({
          dir: join(box, "image-disks"),
          sizeBytes: settings.imageDiskBytes,
          quota: host.disks.reason === null,
        })
      : null;
  const builder = createBuilder({
    ...{ runtime, announced },
    slugs,
    buildpackStore: createBuildpackStore({
      archivesDir: join(dataDir, "buildpack-archives"),
      registry: settings.buildpacks.registry,
      githubApi: settings.buildpacks.githubApi,
      official: settings.buildpacks.official,
    }),
    requirePins: settings.buildpacks.requirePins,
    maxCacheBytes: settings.buildCacheBytes,
    imageDisks,
    buildsDir: join(box, "builds"),
    cachesDir: join(box, "caches"),
    buildpacksDir,
    program,
    environment: settings.buildEnvironment,
    caBundle: settings.buildEnvironment.STATOR_BUILD_CA_BUNDLE,
    limits: { memoryBytes: buildMemoryBytes(), cpuWeight: 50, maxProcesses: 1024 },
    timeoutMs: settings.buildTimeoutMs,
    freeDiskBytes: () => freeBytes(dataDir),
  });

  const urls = publicUrls(domain, surroundings);
  const outputs = createKeptOutputs(join(dataDir, "release-outputs"));
  const release = { database, vault, logs, supervisor, outputs, inOrder: createSerializer() };
  const deploys: DeployContext = {
    ...release,
    builder,
    lock: new DeployLock(),
    stacks,
    queue: createBuildQueue(settings.buildConcurrency),
    buildOutputs: createKeptOutputs(join(dataDir, "build-outputs")),
    underWay: new Map(),
    webUrl: (app) => urls.web(app),
    freeDiskBytes: () => freeBytes(dataDir),
  };
  const sources = createSourceStore(join(dataDir, "sources"), {
    freeDiskBytes: () => freeBytes(dataDir),
    minFreeDiskBytes: 256 * mebibyte,
  });
  const ofDomains = {
    ...{ database, vault, logs, platformDomain: domain, hasAuthority: automatic !== null },
    async routesChanged() {
      await routes.publish();
      seeToCertificates();
    },
  };
  const openPorts = [surroundings.httpPort, surroundings.httpsPort].filter((port) => port !== null);

  const sweepContext = () => ({ store: slugs, liveDynos: supervisor.liveDynos() });
  async function sweep(): Promise<void> {
    await sweepAll(database, sweepContext());
    await stacks.sweep();
    outputs.sweep((ids) => unknownReleases(database, ids));
    deploys.buildOutputs.sweep((ids) => outdatedBuilds(database, ids, keptBuildOutputs));
  }
  async function deployed(app: App, accepted: Promise<boolean>): Promise<boolean> {
    const result = await accepted;
    await sweepApp(database, app, sweepContext());
    deploys.buildOutputs.forget(olderBuilds(database, app, keptBuildOutputs));
    await stacks.sweep();
    return result;
  }

  /** In the background: authorities take their time, and no other work waits for them. */
  function seeToCertificates(): void {
    automatic?.reconcile().catch((error: Error) => {
      process.stderr.write(`certificates: ${error.stack}\n`);
    });
  }

  failInterruptedBuilds(database);
  const interrupted = settleInterruptedReleases(database);
  await host.reconcile({ openPorts });
  await supervisor.recover();
  await supervisor.sweepDisks();
  await imageDisks?.sweep(new Set(listApps(database).map(({ id }) => id)));
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
    async createApp({ stack: wanted = hostStackName, ...options }) {
      const stack = stacks.meantBy(wanted);
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
    async changeConfig(app, options) {
      const changed = changeConfig(release, app, options);
      // Pages of its own for errors are the router's, and hold at once.
      await routes.publish();
      return changed;
    },
    rollBack: async (app, options) => rollBack(release, app, options),
    listDynos: (app) => supervisor.list(app),
    restartDynos: (app, name) => supervisor.restart(app, name),
    stopDynos: (app, name) => supervisor.stop(app, name),
    scale: (app, options) =>
      scale({ database, logs, supervisor, sizes, machineBytes: totalmem() }, app, options),
    async ownCertificate() {
      const signed = signedCertificates();
      const of = (name: string) => signed.find(({ hosts }) => hosts.includes(name));
      return of(`api.${domain}`) ?? of(`*.${domain}`) ?? selfSigned();
    },
    sizes,
    async setFeature(app, name, enabled) {
      const features = { ...app.features, [name]: enabled };
      const changed = updateApp(database, app, { features });
      await routes.publish();
      return changed;
    },
    domains: openDomains(ofDomains),
    certificates: openCertificates(ofDomains),
    changeVisitorRules: (app, options) =>
      changeVisitorRules({ ...ofDomains, hasHttps: surroundings.httpsPort !== null }, app, options),
    publicAddresses: () =>
      Object.values(networkInterfaces()).flatMap((cards) =>
        (cards ?? []).map(({ address }) => address).filter(isPublicAddress),
      ),
    stacks,
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
    deploy: (app, request) => deployed(app, deploy(deploys, app, request).accepted),
    startBuild(app, { address, blob, ...order }) {
      const nobody = { write() {} };
      const never = new AbortController().signal;
      const { build, accepted } = deploy(deploys, app, {
        ...{ user: order.user, output: nobody, signal: never, over: Promise.resolve() },
        ...(order.buildpacks && { buildpacks: order.buildpacks }),
        ...(order.imageFor !== undefined && { imageFor: order.imageFor }),
        source: (order.imageFor === undefined ? sourceArchive : imageSource)(address, blob),
        blob,
      });
      deployed(app, accepted).catch((error: unknown) => {
        process.stderr.write(`build ${build.id}: ${(error as Error).stack}\n`);
      });
      return build;
    },
    async setBuildpacks(app, buildpacks) {
      const before = listBuildpacks(database, app);
      await buildpackNames.refuseUnknown(buildpacks.filter((one) => !before.includes(one)));
      setBuildpacks(database, vault, { app, buildpacks });
    },
    cancelBuild: (app, { build, user }) => cancelBuild(deploys, app, build, user),
    buildOutput: (build, { follow }) =>
      deploys.buildOutputs.read(build, () => !follow || !deploys.underWay.has(build.id), {
        heartbeatMs: 25_000,
      }),
    purgeBuildCache: (app) => builder.forget(app),
    buildCache: (app) => builder.readCache(app),
    sources,
    async finishSlug(app, upload) {
      const bytes = sources.open(upload.id);
      if (!bytes) return;
      const stack = stacks.toBuild(upload.stack);
      try {
        const taken = await slugs.take(bytes.stream(), app.idRange, upload.checksum);
        noteUploadChecksum(database, upload, taken.checksum);
        createSlug(database, {
          ...{ id: upload.id, appId: app.id, sha256: taken.sha256, sizeBytes: taken.sizeBytes },
          ...{ stack: upload.stack, stackDigest: stack.digest, processTypes: upload.processTypes },
          commit: upload.commit ?? "",
          buildpackDescription: upload.buildpackDescription ?? "",
        });
      } finally {
        stack.release();
        sources.remove(upload.id);
      }
    },
    slugArchive: (slug) => Bun.file(slugs.archive(slug.sha256)),
    releaseSlug: (app, options) => releaseSlug(release, app, options),
    releaseImages: (app, options) => releaseImages(release, app, options),
    async reconcile({ routerIsNew }) {
      if (routerIsNew) routes.forget();
      await host.reconcile({ openPorts });
      await routes.publish();
      seeToCertificates();
      supervisor.tick();
      await putIdleToSleep({ database, supervisor, router });
    },
    async close() {
      store.close();
      wakes.close();
      await stopBuilds(deploys);
      await builder.settled();
      await supervisor.close();
      // Builds hang on this server's clients, and end with it.
      for (const id of (await runtime.list()).keys())
        if (id.startsWith("build-")) await runtime.destroy(id);
      host.close();
      await logs.close();
      closeDatabase(database);
    },
    async tearDown() {
      store.close();
      wakes.close();
      await stopBuilds(deploys);
      await builder.settled();
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

/** What the tool that asks registries has of the operator's settings for builds: the way out. */
function registryEnvironment(ofBuilds: Record<string, string>): Record<string, string> {
  const proxies = Object.entries(ofBuilds).filter(([name]) => /^\w+_proxy$/i.test(name));
  const bundle = ofBuilds["STATOR_BUILD_CA_BUNDLE"];
  return { ...Object.fromEntries(proxies), ...(bundle && { SSL_CERT_FILE: bundle }) };
}

/** Four hex digits that tell the things of one data folder from another's. */
function instanceOf(dataDir: string): string {
  return createHash("sha256").update(dataDir).digest("hex").slice(0, 4);
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
