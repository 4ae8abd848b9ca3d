import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { type App, lookUpApp } from "../../model/app.ts";
import { currentRelease, findRelease, findReleases, type Release } from "../../model/release.ts";
import { findSlug } from "../../model/slug.ts";
import type { Platform } from "../../platform.ts";
import { answers, born, id, named, person } from "../answers.ts";
import { body } from "../body.ts";
import { readRange, sendPage } from "../list-range.ts";
import { personOf } from "../person.ts";
import { anyone, type ApiEnvironment, member } from "../policy.ts";
import { isSigned, signLink } from "../signed-links.ts";
import { configVarsAnswer } from "./config-vars.ts";

/** Of a slug, or as one before it. */
const newRelease = z.union(
  [
    z.object({ slug: z.string(), description: z.string().min(1).max(200).nullish() }),
    z.object({ release: z.union([z.string(), z.int().transform(String)]) }),
  ],
  "must have the id of a slug, or the id or the version of a release to roll back to",
);

const releaseAnswer = z.object({
  ...born,
  addon_plan_names: z.array(z.string()),
  app: named,
  artifacts: z.array(z.object({ id, type: z.string() })),
  current: z.boolean(),
  description: z.string(),
  eligible_for_rollback: z.boolean(),
  output_stream_url: z.string().nullable(),
  slug: z.object({ id }).nullable(),
  status: z.enum(["pending", "succeeded", "failed"]),
  user: person,
  version: z.int(),
});

export const releasesApi = (platform: Platform) => {
  const { database, vault } = platform;
  return new Hono<ApiEnvironment>()
    .get("/:app/releases", member("read-protected"), answers(z.array(releaseAnswer)), (c) => {
      const { app } = c.var;
      const range = readRange(c, ["version", "id"]);
      const field = range.field === "id" ? "id" : "version";
      const found = findReleases(database, app, { ...range, field, limit: range.max + 1 });
      const page = sendPage(c, found, { range, keyOf: (release) => release[field] });
      return c.json(page.map(presenter(platform, app)));
    })
    .post(
      "/:app/releases",
      member("write-protected"),
      answers(releaseAnswer),
      body(newRelease),
      async (c) => {
        const { app, account: user } = c.var;
        const given = c.req.valid("json");
        if ("slug" in given) {
          const slug = findSlug(database, given.slug);
          if (slug?.appId !== app.id)
            throw new PlatformError(
              "not_found",
              "Couldn't find that slug. Has its archive been put to its blob's address?",
            );
          const description = given.description ?? undefined;
          const release = platform.releaseSlug(app, { slug, user, description });
          return c.json(presenter(platform, app)(release), 201);
        }
        const to = findRelease(database, app, given.release);
        if (!isEligibleForRollback(to))
          throw new PlatformError(
            "invalid_params",
            `Cannot roll ${app.name} back to v${to.version}: ${to.slugId === null ? "it has no slug" : `it is ${to.status}`}. See stator releases -a ${app.name}.`,
          );
        const release = await platform.rollBack(app, { to, user });
        return c.json(presenter(platform, app)(release), 201);
      },
    )
    .get("/:app/releases/:release", member("read-protected"), answers(releaseAnswer), (c) => {
      const { app } = c.var;
      return c.json(presenter(platform, app)(findRelease(database, app, c.req.param("release"))));
    })
    .get(
      "/:app/releases/:release/config-vars",
      member("read-protected"),
      answers(configVarsAnswer),
      (c) => {
        const { app } = c.var;
        return c.json(vault.open(findRelease(database, app, c.req.param("release")).sealedConfig));
      },
    );
};

function isEligibleForRollback(release: Release): boolean {
  return release.status === "succeeded" && release.slugId !== null;
}

/** The other end of `output_stream_url`: the signature in the address is the permission. */
export const releaseOutputsApi = (platform: Platform) =>
  new Hono<ApiEnvironment>().get("/:app/:release/:signature", anyone(), (c) => {
    const { database, vault } = platform;
    const app = lookUpApp(database, c.req.param("app"));
    const { signature, release: id } = c.req.param();
    if (!app || !isSigned(vault, signature, "release-output", id))
      throw new PlatformError("not_found", "No such output.");
    const release = findRelease(database, app, id);
    c.env?.server?.timeout(c.req.raw, 0);
    return c.body(platform.releaseOutput(app, release), 200, {
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-store",
    });
  });

function presenter({ database, vault, urls }: Platform, app: App) {
  const current = currentRelease(database, app)?.id;
  return (release: Release): z.input<typeof releaseAnswer> => ({
    addon_plan_names: [],
    app: { id: app.id, name: app.name },
    artifacts: release.slugId === null ? [] : [{ id: release.slugId, type: "slug" }],
    created_at: release.createdAt.toISOString(),
    current: release.id === current,
    description: release.description,
    eligible_for_rollback: isEligibleForRollback(release),
    id: release.id,
    output_stream_url: release.hasOutput
      ? `${urls.api}/release-outputs/${app.id}/${release.id}/${signLink(vault, "release-output", release.id)}`
      : null,
    slug: release.slugId === null ? null : { id: release.slugId },
    status: release.status,
    updated_at: release.updatedAt.toISOString(),
    user: personOf(database, release.userId),
    version: release.version,
  });
}
