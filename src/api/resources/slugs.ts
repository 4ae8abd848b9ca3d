import { Hono } from "hono";
import { z } from "zod";
import { UnsafeArchive } from "../../lib/archive.ts";
import { PlatformError } from "../../lib/platform-error.ts";
import { type App, lookUpApp } from "../../model/app.ts";
import { findSlug, type Slug } from "../../model/slug.ts";
import { createSlugUpload, findSlugUpload, type SlugUpload } from "../../model/slug-upload.ts";
import { shownStack } from "../../model/stack.ts";
import type { Platform } from "../../platform.ts";
import { anyone, type ApiEnvironment, member } from "../policy.ts";
import { body } from "../body.ts";
import { isSigned, signLink } from "../signed-links.ts";
import { bytesOf } from "./sources.ts";
import { stackOf } from "./stacks.ts";

export const processType = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,128}$/, "a process type has letters, digits, _ and - only");
const text = z.string("must be a string").max(1000, "must have at most 1000 characters");
export const checksum = z
  .string("must be a string")
  .regex(/^SHA256:[0-9a-f]{64}$/i, "must be SHA256: and 64 hex digits");
const newSlug = z.object({
  process_types: z.record(processType, z.string("must be a command").min(1).max(10_000)),
  checksum: checksum.nullish(),
  commit: text.nullish(),
  commit_description: text.nullish(),
  buildpack_provided_description: text.nullish(),
  stack: text.nullish(),
});

/** Slugs: made by builds, or by hand (contract §4.5). */
export const slugsApi = (platform: Platform) => {
  const { database } = platform;
  return new Hono<ApiEnvironment>()
    .post("/:app/slugs", member("write-protected"), body(newSlug), (c) => {
      const { app } = c.var;
      const given = c.req.valid("json");
      const { stack } = platform.stacks.meantBy(given.stack ?? app.stack);
      const upload = createSlugUpload(database, {
        ...{ appId: app.id, stack, processTypes: given.process_types },
        ...{ checksum: given.checksum ?? null, commit: given.commit ?? null },
        commitDescription: given.commit_description ?? null,
        buildpackDescription: given.buildpack_provided_description ?? null,
      });
      return c.json(present(platform, app, { upload, method: "put" }), 201);
    })
    .get("/:app/slugs/:slug", member("read-protected"), (c) => {
      const { app } = c.var;
      const id = c.req.param("slug");
      const upload = findSlugUpload(database, app, id);
      const slug = findSlug(database, id);
      if (!upload && slug?.appId !== app.id)
        throw new PlatformError("not_found", "Couldn't find that slug.");
      return c.json(present(platform, app, { slug, upload, method: slug ? "get" : "put" }));
    });
};

/** The archives of slugs: the signature in an address is the permission. */
export const slugBlobsApi = (platform: Platform) => {
  const { database, vault, sources } = platform;
  const allowed = (app: App | undefined, method: string, id: string, signature: string) => {
    if (app && isSigned(vault, signature, "slug", method, id)) return app;
    throw new PlatformError("not_found", "No such slug.");
  };
  return new Hono<ApiEnvironment>()
    .put("/:app/:slug/:signature", anyone(), async (c) => {
      const { app: appId, slug: id, signature } = c.req.param();
      const app = allowed(lookUpApp(database, appId), "put", id, signature);
      const upload = findSlugUpload(database, app, id);
      if (!upload) throw new PlatformError("not_found", "No such slug.");
      if (findSlug(database, id))
        throw new PlatformError("conflict", "The archive of this slug was put already.");
      c.env?.server?.timeout(c.req.raw, 0);
      await sources.put(id, bytesOf(c.req.raw));
      await platform.finishSlug(app, upload).catch((error: unknown) => {
        if (!(error instanceof UnsafeArchive)) throw error;
        throw new PlatformError("invalid_params", `The archive is refused: ${error.message}.`);
      });
      return c.body(null, 200);
    })
    .get("/:app/:slug/:signature", anyone(), (c) => {
      const { app: appId, slug: id, signature } = c.req.param();
      allowed(lookUpApp(database, appId), "get", id, signature);
      const slug = findSlug(database, id);
      if (slug?.appId !== appId) throw new PlatformError("not_found", "No such slug.");
      return c.body(platform.slugArchive(slug).stream(), 200, {
        "Content-Type": "application/gzip",
      });
    });
};

function present(
  { urls, vault }: Platform,
  app: App,
  {
    slug,
    upload,
    method,
  }: { slug?: Slug | undefined; upload?: SlugUpload | undefined; method: "put" | "get" },
) {
  const { id, createdAt, processTypes, stack } = (slug ?? upload) as Slug | SlugUpload;
  const url = `${urls.api}/slug-blobs/${app.id}/${id}/${signLink(vault, "slug", method, id)}`;
  return {
    blob: { method, url },
    buildpack_provided_description:
      slug?.buildpackDescription ?? upload?.buildpackDescription ?? null,
    checksum: upload?.checksum ?? (slug ? `SHA256:${slug.sha256}` : null),
    commit: (slug?.commit || upload?.commit) ?? null,
    commit_description: upload?.commitDescription ?? null,
    created_at: createdAt.toISOString(),
    deleted_at: null,
    id,
    process_types: processTypes,
    size: slug?.sizeBytes ?? null,
    stack: stackOf(shownStack(app, stack)),
    updated_at: createdAt.toISOString(),
  };
}
