import type { BuildOutput } from "../build/output.ts";
import { type BuildPrinter, buildPrinter } from "../build/output.ts";
import { BuildFailed, type Builder, type BuildSource } from "../build/build.ts";
import type { Account } from "../model/account.ts";
import { type App, findApp, updateApp } from "../model/app.ts";
import { createBuild, finishBuild } from "../model/build.ts";
import { readConfigVars } from "../model/config-vars.ts";
import { defaultDynoSize } from "../model/dyno-size.ts";
import { listFormation, releaseType } from "../model/formation.ts";
import { createRelease, type Release } from "../model/release.ts";
import { createSlug, type Slug } from "../model/slug.ts";
import type { DeployLock } from "./deploy-lock.ts";
import { goLive } from "./go-live.ts";
import { type ReleaseContext, tell } from "./release-context.ts";

export interface DeployContext extends ReleaseContext {
  builder: Builder;
  lock: DeployLock;
  webUrl(app: App): string;
  freeDiskBytes(): number;
}

export interface DeployRequest {
  user: Account;
  source: BuildSource;
  output: BuildOutput;
  /** Ends the build; without effect once a release is being launched. */
  signal: AbortSignal;
  /** No other deploy of the app begins before this: a push is over when git has moved its ref. */
  over: Promise<unknown>;
}

/** The least that must be free on the data folder's disk for a build. */
const minFreeDiskBytes = 256 * 1024 * 1024;

/** One push: build, release, roll out (contract §4.2). Returns whether the push is accepted. */
export async function deploy(
  context: DeployContext,
  app: App,
  request: DeployRequest,
): Promise<boolean> {
  const print = buildPrinter(request.output);
  const unlock = await context.lock.take(app, request);
  try {
    if (context.freeDiskBytes() < minFreeDiskBytes) {
      const free = Math.floor(context.freeDiskBytes() / 1024 / 1024);
      await print.problem(
        `Push refused: the disk of the platform has only ${free} MB left, a build needs 256 MB.`,
      );
      await print.problem("Free some space on the server; what runs goes on running.");
      return false;
    }
    const slug = await buildSlug(context, findApp(context.database, app.id), request);
    return await launch(context, findApp(context.database, app.id), { ...request, slug });
  } catch (error) {
    if (request.signal.aborted) throw error;
    if (!(error instanceof BuildFailed)) await explain(print, error);
    return false;
  } finally {
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
  { user, source, output, signal }: DeployRequest,
): Promise<Slug> {
  const { database, vault, builder } = context;
  const build = createBuild(database, { app, user, sourceVersion: source.version });
  tell(context, app, `Build started by user ${user.email}`);
  try {
    const config = readConfigVars(database, vault, app);
    const built = await builder.build(app, { source, config, output, signal });
    signal.throwIfAborted();
    const slug = createSlug(database, {
      appId: app.id,
      sha256: built.sha256,
      sizeBytes: built.sizeBytes,
      commit: source.version,
      stack: app.stack,
      buildpackDescription: built.buildpackDescription,
      processTypes: built.processTypes,
    });
    if (app.buildpack !== built.buildpack) updateApp(database, app, { buildpack: built.buildpack });
    finishBuild(database, build, { status: "succeeded", slugId: slug.id });
    tell(context, app, "Build succeeded");
    return slug;
  } catch (error) {
    finishBuild(database, build, { status: "failed" });
    tell(context, app, "Build failed");
    throw error;
  }
}

/** Makes a release of a slug and brings it into service (contract §4.2). */
async function launch(
  context: DeployContext,
  app: App,
  { user, source, output, slug }: DeployRequest & { slug: Slug },
): Promise<boolean> {
  const { database, vault } = context;
  const print = buildPrinter(output);
  await print.step("Launching...");
  const withCommand = Object.hasOwn(slug.processTypes, releaseType);
  if (withCommand)
    await print.problem(
      "Release command declared: this new release will not be available until the command succeeds.",
    );
  const description = `Deploy ${source.version.slice(0, 8)}`;
  const release = createRelease(database, vault, {
    app,
    user,
    description,
    slugId: slug.id,
    config: readConfigVars(database, vault, app),
    status: "pending",
    ofPush: true,
  });
  tell(context, app, `${description} by user ${user.email}`);
  tell(context, app, `Release v${release.version} created by user ${user.email}`);
  if (listFormation(database, app).length === 0 && "web" in slug.processTypes)
    tell(context, app, `Scaled to web@1:${defaultDynoSize} by user ${user.email}`);
  if (!withCommand) return verify(context, app, { print, release });
  await print.detail(`Released v${release.version}`);
  await print.line("");
  await print.line("Running release command...");
  await print.line("");
  return verify(context, app, { print, release, output: (bytes) => output.write(bytes) });
}

/** Waits until a release serves, and says how it went. Returns whether the push is accepted. */
async function verify(
  context: DeployContext,
  app: App,
  options: { print: BuildPrinter; release: Release; output?: (bytes: Uint8Array) => unknown },
): Promise<boolean> {
  const { print, release, output } = options;
  const went = await goLive(context, app, {
    release,
    ...(output ? { output: async (bytes) => void (await output(bytes)) } : {}),
  });
  if (!went.live && went.releaseCommand) {
    await print.line("Waiting for release.... failed.");
    await print.problem(`v${release.version} is not in service: ${went.reason}.`);
    return true;
  }
  if (output) await print.line("Waiting for release.... done.");
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
