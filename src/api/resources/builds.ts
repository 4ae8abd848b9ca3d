import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { type App, lookUpApp } from "../../model/app.ts";
import { type Build, findBuild, listBuilds } from "../../model/build.ts";
import { readBuildpackName } from "../../model/buildpack-source.ts";
import { shownStack } from "../../model/stack.ts";
import type { Platform } from "../../platform.ts";
import { body, query } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { personOf } from "../person.ts";
import { anyone, type ApiEnvironment, member } from "../policy.ts";
import { isSigned, signLink } from "../signed-links.ts";
import { presentBuildpack } from "./buildpack-installations.ts";
import { generation } from "./places.ts";
import { checksum, processType } from "./slugs.ts";
import { uploadOf } from "./sources.ts";

const text = z.string("must be a string");
const newBuild = z.object({
  source_blob: z.object(
    {
      url: z.url({ protocol: /^https?$/, error: "must be an address with https://" }),
      version: text.max(200).nullish(),
      version_description: text.max(1000).nullish(),
      checksum: checksum.nullish(),
    },
    "must be an object with a url",
  ),
  buildpacks: z
    .array(z.object({ url: text.nullish(), name: text.nullish() }))
    .max(32)
    .nullish(),
  /** Ours: the archive is a container image (`oci-archive`, `docker save`), to be released for this type. */
  docker_image: z
    .object({ process_type: processType }, "must be an object with a process_type")
    .nullish(),
});

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
      return c.json(page.map((build) => present(platform, app, build)));
    })
    .post("/:app/builds", member("write-protected"), body(newBuild), (c) => {
      const { app } = c.var;
      const { source_blob: source, buildpacks, docker_image: image } = c.req.valid("json");
      const upload = uploadOf(platform, source.url);
      const build = platform.startBuild(app, {
        user: c.var.account,
        address: {
          url: source.url,
          open: upload === undefined ? null : () => platform.sources.open(upload),
        },
        blob: {
          url: withoutSecrets(source.url),
          version: source.version ?? "",
          versionDescription: source.version_description ?? null,
          checksum: source.checksum ?? null,
        },
        imageFor: image?.process_type,
        buildpacks: buildpacks?.map(({ url, name }) => readBuildpackName(url ?? name ?? "")),
      });
      return c.json(present(platform, app, build), 201);
    })
    .get("/:app/builds/:build", member("read"), (c) => {
      const { app } = c.var;
      return c.json(present(platform, app, findBuild(database, app, c.req.param("build"))));
    })
    .delete("/:app/builds/:build", member("write-protected"), (c) => {
      const { app } = c.var;
      const build = findBuild(database, app, c.req.param("build"));
      platform.cancelBuild(app, { build, user: c.var.account });
      return c.json(present(platform, app, build), 202);
    })
    .get("/:app/build-cache", member("read-protected"), (c) => {
      const { app } = c.var;
      const cache = platform.buildCache(app);
      if (!cache)
        throw new PlatformError(
          "not_found",
          `${app.name} has no build cache: it has not been built yet, or the cache was purged.`,
        );
      c.env?.server?.timeout(c.req.raw, 0);
      return c.body(cache, 200, {
        "Content-Type": "application/gzip",
        "Cache-Control": "no-store",
      });
    })
    .delete("/:app/build-cache", member("write-protected"), async (c) => {
      await platform.purgeBuildCache(c.var.app);
      return c.json({});
    });
};

const outputQuery = z.object({ follow: z.enum(["yes", "no"], "must be yes or no").optional() });

/** The other end of `output_stream_url`: the signature in the address is the permission. */
export const buildOutputsApi = (platform: Platform) =>
  new Hono<ApiEnvironment>().get("/:app/:build/:signature", anyone(), query(outputQuery), (c) => {
    const { database, vault } = platform;
    const { app: appId, build: id, signature } = c.req.param();
    const app = lookUpApp(database, appId);
    if (!app || !isSigned(vault, signature, "build-output", id))
      throw new PlatformError("not_found", "No such output.");
    c.env?.server?.timeout(c.req.raw, 0);
    const follow = c.req.valid("query").follow !== "no";
    return c.body(platform.buildOutput(findBuild(database, app, id), { follow }), 200, {
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-store",
    });
  });

function present({ database, urls, vault }: Platform, app: App, build: Build) {
  const signature = signLink(vault, "build-output", build.id);
  return {
    app: { id: app.id },
    buildpacks: build.buildpacks.map(({ buildpack, version }) => ({
      ...presentBuildpack(buildpack),
      version,
    })),
    created_at: build.createdAt.toISOString(),
    generation: generation.name,
    id: build.id,
    output_stream_url: `${urls.api}/build-outputs/${app.id}/${build.id}/${signature}`,
    release: build.releaseId === null ? null : { id: build.releaseId },
    slug: build.slugId === null ? null : { id: build.slugId },
    source_blob: {
      checksum: build.sourceChecksum,
      // What was pushed has no archive's address.
      url: build.sourceUrl ?? urls.git(app),
      version: build.sourceVersion || null,
      version_description: build.sourceDescription,
    },
    stack: shownStack(app, build.stack ?? app.stack),
    status: build.status,
    updated_at: build.updatedAt.toISOString(),
    user: personOf(database, build.userId),
  };
}

/** Passwords and signatures stand before the host and after the path. */
function withoutSecrets(address: string): string {
  const { origin, pathname } = new URL(address);
  return origin + pathname;
}
