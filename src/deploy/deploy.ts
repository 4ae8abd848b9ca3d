import { maskedOutput, secretsOf } from "../build/masked-output.ts";
import { buildPrinter, type BuildOutput, type BuildPrinter } from "../build/output.ts";
import type { Builder } from "../build/build.ts";
import type { BuildSource } from "../build/build-request.ts";
import { BuildFailed } from "../build/build-failed.ts";
import type { BuildStack } from "../build/stack.ts";
import { PlatformError } from "../lib/platform-error.ts";
import type { Account } from "../model/account.ts";
import { type App, findApp } from "../model/app.ts";
import {
  type Build,
  createBuild,
  lastUsedBuildpacks,
  type SourceBlob,
  updateBuild,
} from "../model/build.ts";
import { listBuildpacks, readBuildpacks, setBuildpacks } from "../model/buildpack-installation.ts";
import type { BuildpackName } from "../model/buildpack-source.ts";
import { readConfigVars } from "../model/config-vars.ts";
import { defaultDynoSize } from "../model/dyno-size.ts";
import { listFormation, releaseType } from "../model/formation.ts";
import { createRelease, type Release } from "../model/release.ts";
import { listPushedImages, pushImage } from "../model/pushed-image.ts";
import { createSlug, listSlugs, type Slug, type SlugImage } from "../model/slug.ts";
import type { BuildQueue } from "./build-queue.ts";
import { provideDefaultAddons } from "./default-addons.ts";
import type { DeployLock } from "./deploy-lock.ts";
import { goLive } from "./go-live.ts";
import type { KeptOutputs } from "./kept-outputs.ts";
import { type ReleaseContext, tell } from "./release-context.ts";
import type { Stacks } from "./stacks.ts";

export interface DeployContext extends ReleaseContext {
  builder: Builder;
  lock: DeployLock;
  queue: BuildQueue;
  stacks: Stacks;
  buildOutputs: KeptOutputs;
  /** The builds whose deploy is not over. */
  underWay: Map<string, DeployUnderWay>;
  webUrl(app: App): string;
  freeDiskBytes(): number;
}

/** `launching`: its release is made, and it is too late to stop it. */
export interface DeployUnderWay {
  state: "building" | "launching";
  cancel: AbortController;
}

export interface DeployRequest {
  user: Account;
  source: BuildSource;
  /** What is told of the source. */
  blob: SourceBlob;
  /** Instead of those that are set for the app. */
  buildpacks?: BuildpackName[];
  /** The source is an image's archive, to be released for this type some time; nothing goes live now. */
  imageFor?: string;
  output: BuildOutput;
  /** Ends the build; without effect once a release is being launched. */
  signal: AbortSignal;
  /** No other deploy of the app begins before this: a push is over when git has moved its ref. */
  over: Promise<unknown>;
}

/** The least that must be free on the data folder's disk for a build. */
const minFreeDiskBytes = 256 * 1024 * 1024;

/**
 * One deploy: build, release, roll out (contract §4.2). Answers at once with the build, and in time with
 * whether it is accepted. What it says is kept, too.
 */
export function deploy(
  context: DeployContext,
  app: App,
  request: DeployRequest,
): { build: Build; accepted: Promise<boolean> } {
  const { database, buildOutputs, underWay } = context;
  const { user, blob } = request;
  const asked = request.buildpacks?.map(({ text }) => text) ?? listBuildpacks(database, app);
  const build = createBuild(database, {
    ...{ app, user, source: blob },
    buildpacks: asked.map((buildpack) => ({ buildpack, version: null })),
  });
  const cancel = new AbortController();
  underWay.set(build.id, { state: "building", cancel });
  const kept = buildOutputs.write(build);
  const output: BuildOutput = {
    write(bytes) {
      kept.add(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
      return request.output.write(bytes);
    },
  };
  const signal = AbortSignal.any([request.signal, cancel.signal]);
  const accepted = inTurn(context, app, { ...request, output, signal, build })
    .catch(async (error: unknown) => {
      if (!cancel.signal.aborted) throw error;
      await buildPrinter(output).problem((cancel.signal.reason as Error).message);
      return false;
    })
    .finally(() => {
      updateBuild(database, build, { status: "failed" });
      underWay.delete(build.id);
      kept.end();
    });
  return { build, accepted };
}

/** Ends a build that is not launched yet. */
export function cancelBuild(context: DeployContext, app: App, build: Build, user: Account): void {
  const way = context.underWay.get(build.id);
  if (way?.state !== "building")
    throw new PlatformError(
      "conflict",
      way
        ? `Build ${build.id} is being released, and cannot be canceled any more. To go back: stator rollback -a ${app.name}`
        : `Build ${build.id} is over: it has ${build.status}.`,
    );
  tell(context, app, `Build canceled by user ${user.email}`);
  way.cancel.abort(new Error(`The build was canceled by ${user.email}.`));
}

const stopTimeoutMs = 10_000;

/** Ends all builds and waits for that: nobody holds them when the server has gone. */
export async function stopBuilds({ underWay }: Pick<DeployContext, "underWay">): Promise<void> {
  const building = () => [...underWay.values()].filter(({ state }) => state === "building");
  for (const { cancel } of building())
    cancel.abort(new Error("The build was ended: the server of the platform stops."));
  for (const end = Date.now() + stopTimeoutMs; building().length > 0 && Date.now() < end;)
    await Bun.sleep(20);
}

type Deploy = DeployRequest & { build: Build };

/** One deploy of an app at a time, and so many builds of all. */
async function inTurn(context: DeployContext, app: App, request: Deploy): Promise<boolean> {
  const { database, underWay } = context;
  const print = buildPrinter(request.output);
  const unlock = await context.lock.take(app, request);
  let leaveQueue = () => {};
  try {
    if (context.freeDiskBytes() < minFreeDiskBytes) {
      const free = Math.floor(context.freeDiskBytes() / 1024 / 1024);
      await print.problem(
        `Push refused: the disk of the platform has only ${free} MB left, a build needs 256 MB.`,
      );
      await print.problem("Free some space on the server; what runs goes on running.");
      return false;
    }
    leaveQueue = await context.queue.take({
      signal: request.signal,
      wait: (before) =>
        print.step(`Waiting for other builds of this platform to end (${before} before this one)`),
    });
    if (request.imageFor !== undefined) {
      await takeImage(context, findApp(database, app.id), { ...request, type: request.imageFor });
      return true;
    }
    const slug = await buildSlug(context, findApp(database, app.id), request);
    leaveQueue();
    underWay.set(request.build.id, { state: "launching", cancel: new AbortController() });
    return await launch(context, findApp(database, app.id), { ...request, slug });
  } catch (error) {
    if (request.signal.aborted) throw error;
    if (!(error instanceof BuildFailed)) await explain(print, error);
    return false;
  } finally {
    leaveQueue();
    void request.over.finally(unlock);
  }
}

/** A failure of the platform, for the one who pushed. */
async function explain(print: BuildPrinter, error: unknown): Promise<void> {
  const message = error instanceof Error ? error.message : String(error);
  const diskFull = /ENOSPC|No space left|disk is full|SQLITE_FULL/i.test(message);
  await print.problem(
    diskFull
      ? "The disk of the platform is full. Free some space on the server; what runs goes on running."
      : `The platform failed: ${message}`,
  );
  await print.line("");
  await print.problem("Push failed");
}

async function buildSlug(
  context: DeployContext,
  app: App,
  { user, source, output, signal, build, buildpacks }: Deploy,
): Promise<Slug> {
  const { database, vault, builder } = context;
  let stack: BuildStack | undefined;
  tell(context, app, `Build started by user ${user.email}`);
  try {
    const built = await builder.build(app, {
      ...{ source, output, signal },
      config: readConfigVars(database, vault, app),
      buildpacks: buildpacks ?? readBuildpacks(database, vault, app),
      usedBefore: lastUsedBuildpacks(database, app),
      stackFor: async (wanted, print) =>
        (stack = context.stacks.toBuild(await chooseStack(context, app, { wanted, user, print }))),
      note: (used) => updateBuild(database, build, { buildpacks: used }),
      knownImages: knownImages(database, app),
    });
    signal.throwIfAborted();
    const slug = createSlug(database, {
      appId: app.id,
      sha256: built.sha256,
      sizeBytes: built.sizeBytes,
      commit: source.version,
      stack: stack?.name ?? app.stack,
      stackDigest: stack?.digest ?? null,
      buildpackDescription: built.buildpackDescription,
      processTypes: built.processTypes,
      addons: built.addons,
      images: built.images,
    });
    if (built.detected !== null && listBuildpacks(database, app).length === 0)
      setBuildpacks(database, vault, { app, buildpacks: [built.detected] });
    updateBuild(database, build, { slugId: slug.id });
    tell(context, app, "Build succeeded");
    return slug;
  } catch (error) {
    tell(context, app, "Build failed");
    throw error;
  } finally {
    stack?.release();
  }
}

/** Takes an image that somebody has made, and keeps it for its release. */
async function takeImage(
  context: DeployContext,
  app: App,
  { user, source, output, signal, build, type }: Deploy & { type: string },
): Promise<void> {
  const { database, builder } = context;
  const image = await builder.take(app, {
    ...{ source, output, signal },
    knownImages: knownImages(database, app),
  });
  signal.throwIfAborted();
  database.transaction(() => {
    pushImage(database, app, { type, image });
    updateBuild(database, build, { status: "succeeded" });
  });
  tell(context, app, `Pushed image ${image.id.slice(0, 19)} for ${type} by user ${user.email}`);
  const print = buildPrinter(output);
  await print.line(`Your image has been pushed. Release it with: stator container:release ${type}`);
}

function knownImages(database: ReleaseContext["database"], app: App): SlugImage[] {
  return [
    ...listSlugs(database, app).flatMap(({ images }) => Object.values(images ?? {})),
    ...listPushedImages(database, app).map(({ image }) => image),
  ];
}

/** The app's stack; before its first build, the one that its own app.json asks for. */
async function chooseStack(
  { database, stacks }: DeployContext,
  app: App,
  { wanted, user, print }: { wanted: string | undefined; user: Account; print: BuildPrinter },
): Promise<string> {
  if (wanted === undefined || wanted === app.stack || listSlugs(database, app).length > 0)
    return app.stack;
  try {
    const chosen = stacks.set(app, { name: wanted, user }).stack;
    if (chosen === wanted) return chosen;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
  }
  await print.problem(
    `app.json asks for the stack ${JSON.stringify(wanted)}, which is not here; this build is for ${app.stack}.`,
  );
  return app.stack;
}

/** Makes a release of a slug and brings it into service (contract §4.2). */
async function launch(
  context: DeployContext,
  app: App,
  { user, source, output, slug, build }: Deploy & { slug: Slug },
): Promise<boolean> {
  const { database, vault } = context;
  const print = buildPrinter(output);
  await print.step("Launching...");
  const withCommand = Object.hasOwn(slug.processTypes, releaseType);
  if (withCommand)
    await print.problem(
      "Release command declared: this new release will not be available until the command succeeds.",
    );
  await provideDefaultAddons(context, app, { slug, print });
  const description = `Deploy ${source.version.slice(0, 8)}`.trim();
  const config = readConfigVars(database, vault, app);
  const release = createRelease(database, vault, {
    app,
    user,
    description,
    slugId: slug.id,
    config,
    status: "pending",
    ofPush: true,
  });
  updateBuild(database, build, { status: "succeeded", releaseId: release.id });
  tell(context, app, `${description} by user ${user.email}`);
  tell(context, app, `Release v${release.version} created by user ${user.email}`);
  if (listFormation(database, app).length === 0 && "web" in slug.processTypes)
    tell(context, app, `Scaled to web@1:${defaultDynoSize} by user ${user.email}`);
  if (!withCommand) return verify(context, app, { print, release });
  await print.detail(`Released v${release.version}`);
  await print.line("");
  await print.line("Running release command...");
  await print.line("");
  return verify(context, app, { print, release, said: maskedOutput(output, secretsOf(config)) });
}

/** Waits until a release serves, and says how it went. Returns whether the push is accepted. */
async function verify(
  context: DeployContext,
  app: App,
  options: { print: BuildPrinter; release: Release; said?: ReturnType<typeof maskedOutput> },
): Promise<boolean> {
  const { print, release, said } = options;
  const went = await goLive(context, app, {
    release,
    ...(said ? { output: (bytes: Uint8Array) => said.write(bytes) } : {}),
  });
  await said?.end();
  if (!went.live && went.releaseCommand) {
    await print.line("Waiting for release.... failed.");
    await print.problem(`v${release.version} is not in service: ${went.reason}.`);
    return true;
  }
  if (said) await print.line("Waiting for release.... done.");
  else await print.detail(`Released v${release.version}`);
  if (went.live) {
    await print.detail(`${context.webUrl(app)} deployed to Stator`);
    await print.line("");
    await print.line("Verifying deploy... done.");
    return true;
  }
  await print.problem(`v${release.version} does not serve: ${went.reason}.`);
  await print.problem(`See what it said: stator logs -a ${app.name}`);
  if (!went.kept) return true;
  await print.problem("The release before goes on serving.");
  await print.line("");
  return false;
}
