import { totalmem } from "node:os";
import { join } from "node:path";
import { createBuilder } from "../build/build.ts";
import { createBuildpackNames } from "../build/buildpack-names.ts";
import { createBuildpackStore } from "../build/buildpack-store.ts";
import { builtInNames, installBuildpacks } from "../build/buildpacks.ts";
import { createBuildQueue } from "../deploy/build-queue.ts";
import {
  cancelBuild,
  deploy,
  type DeployContext,
  type DeployRequest,
  stopBuilds,
} from "../deploy/deploy.ts";
import { DeployLock } from "../deploy/deploy-lock.ts";
import { createKeptOutputs } from "../deploy/kept-outputs.ts";
import type { ReleaseContext } from "../deploy/release-context.ts";
import { type ArchiveAddress, imageSource, sourceArchive } from "../deploy/source-archive.ts";
import { sweepAll, sweepApp } from "../deploy/sweep.ts";
import type { Account } from "../model/account.ts";
import { type App, listApps } from "../model/app.ts";
import { type Build, olderBuilds, outdatedBuilds, type SourceBlob } from "../model/build.ts";
import { listBuildpacks, setBuildpacks } from "../model/buildpack-installation.ts";
import type { BuildpackName } from "../model/buildpack-source.ts";
import { unknownReleases } from "../model/release.ts";
import { createSlug, type Slug } from "../model/slug.ts";
import { noteUploadChecksum, type SlugUpload } from "../model/slug-upload.ts";
import { createSourceStore, type SourceStore } from "../repository/source-store.ts";
import { createKeptDisks } from "../runtime/kept-disks.ts";
import type { ServerSettings } from "../settings/server-settings.ts";
import { type Ground, mebibyte } from "./ground.ts";

/** From code to slugs and images, and what is kept of them. */
export interface Builds {
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
}

/** The outputs of so many builds of each app are kept. */
const keptBuildOutputs = 50;

export function openBuilds(
  ground: Ground,
  settings: ServerSettings,
  { release, webUrl }: { release: ReleaseContext; webUrl: (app: App) => string },
) {
  const { dataDir, database, vault, slugs, stacks, freeDiskBytes } = ground;
  const { builder, imageDisks, names } = openBuilder(ground, settings);
  const deploys: DeployContext = {
    ...release,
    ...{ builder, stacks, webUrl, freeDiskBytes },
    lock: new DeployLock(),
    queue: createBuildQueue(settings.buildConcurrency),
    buildOutputs: createKeptOutputs(join(dataDir, "build-outputs")),
    underWay: new Map(),
  };
  const sources = createSourceStore(join(dataDir, "sources"), {
    freeDiskBytes,
    minFreeDiskBytes: 256 * mebibyte,
  });
  const sweepContext = () => ({ store: slugs, liveDynos: release.supervisor.liveDynos() });

  /** At the start, and when an app has gone. */
  async function sweep(): Promise<void> {
    await sweepAll(database, sweepContext());
    await stacks.sweep();
    release.outputs.sweep((ids) => unknownReleases(database, ids));
    deploys.buildOutputs.sweep((ids) => outdatedBuilds(database, ids, keptBuildOutputs));
  }

  async function deployed(app: App, accepted: Promise<boolean>): Promise<boolean> {
    const result = await accepted;
    await sweepApp(database, app, sweepContext());
    deploys.buildOutputs.forget(olderBuilds(database, app, keptBuildOutputs));
    await stacks.sweep();
    return result;
  }

  const builds: Builds = {
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
      await names.refuseUnknown(buildpacks.filter((one) => !before.includes(one)));
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
  };
  return {
    builds,
    sweep,
    /** Before the first build: what a server that died has left on the disks of images. */
    sweepImageDisks: async () => imageDisks?.sweep(new Set(listApps(database).map(({ id }) => id))),
    async stop(): Promise<void> {
      await stopBuilds(deploys);
      await builder.settled();
    },
  };
}

function openBuilder(
  { dataDir, host, slugs, announced, program, freeDiskBytes }: Ground,
  settings: ServerSettings,
) {
  const { runtime, box, disks } = host;
  const { requirePins, ...buildpackSettings } = settings.buildpacks;
  const buildpacksDir = join(dataDir, "buildpacks");
  installBuildpacks(buildpacksDir);
  const imageDisks =
    settings.runtime === "oci"
      ? createKeptDisks({
          dir: join(box, "image-disks"),
          sizeBytes: settings.imageDiskBytes,
          quota: disks.reason === null,
        })
      : null;
  const archivesDir = join(dataDir, "buildpack-archives");
  const builder = createBuilder({
    ...{ runtime, slugs, announced, program, freeDiskBytes, imageDisks, requirePins },
    buildpackStore: createBuildpackStore({ archivesDir, ...buildpackSettings }),
    maxCacheBytes: settings.buildCacheBytes,
    buildsDir: join(box, "builds"),
    cachesDir: join(box, "caches"),
    buildpacksDir,
    environment: settings.buildEnvironment,
    caBundle: settings.buildEnvironment.STATOR_BUILD_CA_BUNDLE,
    limits: { memoryBytes: buildMemoryBytes(), cpuWeight: 25, maxProcesses: 1024 },
    timeoutMs: settings.buildTimeoutMs,
  });
  const names = createBuildpackNames({
    registry: buildpackSettings.registry,
    builtIn: builtInNames(buildpacksDir),
  });
  return { builder, imageDisks, names };
}

/** A build gets 2 GB, but never more than three quarters of a small machine. */
function buildMemoryBytes(): number {
  return Math.min(2048 * mebibyte, Math.floor(totalmem() * 0.75));
}
