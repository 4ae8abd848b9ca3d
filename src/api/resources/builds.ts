import { Hono } from "hono";
import { PlatformError } from "../../lib/platform-error.ts";
import type { App } from "../../model/app.ts";
import { type Build, listBuilds } from "../../model/build.ts";
import { listReleases, type Release } from "../../model/release.ts";
import { findSlug } from "../../model/slug.ts";
import type { Platform } from "../../platform.ts";
import { pageOf } from "../list-range.ts";
import { personOf } from "../person.ts";
import { type ApiEnvironment, member } from "../policy.ts";
import { stableId } from "../stable-id.ts";

export const buildsApi = (platform: Platform) => {
  const { database } = platform;
  return new Hono<ApiEnvironment>()
    .get("/:app/builds", member("read"), (c) => {
      const { app } = c.var;
      const page = pageOf(c, listBuilds(database, app), {
        started_at: (build) => build.createdAt.toISOString(),
        created_at: (build) => build.createdAt.toISOString(),
        id: (build) => build.id,
      });
      return c.json(page.map(presenter(platform, app)));
    })
    .get("/:app/builds/:build", member("read"), (c) => {
      const { app } = c.var;
      const build = listBuilds(database, app).find(({ id }) => id === c.req.param("build"));
      if (!build) throw new PlatformError("not_found", "Couldn't find that build.");
      return c.json(presenter(platform, app)(build));
    })
    .get("/:app/slugs/:slug", member("read-protected"), (c) => {
      const { app } = c.var;
      const slug = findSlug(database, c.req.param("slug"));
      if (slug?.appId !== app.id) throw new PlatformError("not_found", "Couldn't find that slug.");
      return c.json({
        blob: null,
        buildpack_provided_description: slug.buildpackDescription,
        checksum: `SHA256:${slug.sha256}`,
        commit: slug.commit,
        commit_description: null,
        created_at: slug.createdAt.toISOString(),
        id: slug.id,
        process_types: slug.processTypes,
        size: slug.sizeBytes,
        stack: { id: stableId("stack", slug.stack), name: slug.stack },
        updated_at: slug.createdAt.toISOString(),
      });
    });
};

function presenter({ database }: Platform, app: App) {
  const releases = listReleases(database, app);
  return (build: Build) => ({
    app: { id: app.id },
    buildpacks: [],
    created_at: build.createdAt.toISOString(),
    id: build.id,
    output_stream_url: null,
    release: presentReleaseOf(releases, build),
    slug: build.slugId === null ? null : { id: build.slugId },
    source_blob: {
      checksum: null,
      url: null,
      version: build.sourceVersion,
      version_description: null,
    },
    stack: app.stack,
    status: build.status,
    updated_at: build.updatedAt.toISOString(),
    user: personOf(database, build.userId),
  });
}

/** The first release of the build's slug is the one that the build made; later ones are rollbacks and changes of config. */
function presentReleaseOf(newestFirst: Release[], build: Build): { id: string } | null {
  const release = newestFirst.findLast(({ slugId }) => slugId !== null && slugId === build.slugId);
  return release ? { id: release.id } : null;
}
