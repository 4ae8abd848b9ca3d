import { join } from "node:path";
import { changeConfig } from "../deploy/change-config.ts";
import { createKeptOutputs } from "../deploy/kept-outputs.ts";
import type { ReleaseContext } from "../deploy/release-context.ts";
import { type ImageUpdate, releaseImages } from "../deploy/release-images.ts";
import { releaseSlug } from "../deploy/release-slug.ts";
import { rollBack } from "../deploy/rollback.ts";
import type { Supervisor } from "../dyno/supervisor.ts";
import { createSerializer } from "../lib/lock.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import type { ConfigVars } from "../model/config-vars.ts";
import { findRelease, type Release } from "../model/release.ts";
import type { Slug } from "../model/slug.ts";
import type { Ground } from "./ground.ts";

/** The ways to a new release that need no build. Dynos follow in the background. */
export interface Releases {
  /** One release for one change; none when nothing changes. */
  changeConfig(
    app: App,
    options: { change: Record<string, string | null>; user: Account },
  ): Promise<{ vars: ConfigVars; release: Release | null }>;
  /** A new release with the slug and the config of an old one. */
  rollBack(app: App, options: { to: Release; user: Account }): Promise<Release>;
  /** A new release of a slug. */
  releaseSlug(
    app: App,
    options: { slug: Slug; user: Account; description: string | undefined },
  ): Release;
  /** A new release in which types have pushed images. */
  releaseImages(
    app: App,
    options: { updates: ImageUpdate[]; user: Account },
  ): { release: Release; slug: Slug };
  /** What a release's command said, and says until its end. */
  releaseOutput(app: App, release: Release): ReadableStream<Uint8Array>;
}

export function openReleases(
  { dataDir, database, vault, logs }: Ground,
  { supervisor, routesChanged }: { supervisor: Supervisor; routesChanged: () => Promise<void> },
) {
  const outputs = createKeptOutputs(join(dataDir, "release-outputs"));
  const inOrder = createSerializer();
  const context: ReleaseContext = { database, vault, logs, supervisor, outputs, inOrder };
  const releases: Releases = {
    async changeConfig(app, options) {
      const changed = changeConfig(context, app, options);
      // Pages of its own for errors are the router's, and hold at once.
      await routesChanged();
      return changed;
    },
    rollBack: async (app, options) => rollBack(context, app, options),
    releaseSlug: (app, options) => releaseSlug(context, app, options),
    releaseImages: (app, options) => releaseImages(context, app, options),
    releaseOutput: (app, one) =>
      outputs.read(one, () => findRelease(database, app, one.id).status !== "pending"),
  };
  return { releases, context };
}
