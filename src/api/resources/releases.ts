import { timingSafeEqual } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { findAccount } from "../../model/account.ts";
import { type App, findApp, lookUpApp } from "../../model/app.ts";
import { currentRelease, findRelease, listReleases, type Release } from "../../model/release.ts";
import type { Platform } from "../../platform.ts";
import type { ApiEnvironment } from "../authenticate.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";

const rollback = z.object({ release: z.string("must be the id or the version of a release") });

export const releasesApi = (platform: Platform) => {
  const { database, vault } = platform;
  return new Hono<ApiEnvironment>()
    .get("/:app/releases", (c) => {
      const app = findApp(database, c.req.param("app"));
      const page = pageOf(c, listReleases(database, app), {
        version: (release) => release.version,
        id: (release) => release.id,
      });
      return c.json(page.map(presenter(platform, app)));
    })
    .post("/:app/releases", body(rollback), async (c) => {
      const app = findApp(database, c.req.param("app"));
      const to = findRelease(database, app, c.req.valid("json").release);
      if (!isEligibleForRollback(to))
        throw new PlatformError(
          "invalid_params",
          `Cannot roll ${app.name} back to v${to.version}: ${to.slugId === null ? "it has no slug" : `it is ${to.status}`}. See stator releases -a ${app.name}.`,
        );
      const release = await platform.rollBack(app, { to, user: c.var.account });
      return c.json(presenter(platform, app)(release), 201);
    })
    .get("/:app/releases/:release", (c) => {
      const app = findApp(database, c.req.param("app"));
      return c.json(presenter(platform, app)(findRelease(database, app, c.req.param("release"))));
    })
    .get("/:app/releases/:release/config-vars", (c) => {
      const app = findApp(database, c.req.param("app"));
      return c.json(vault.open(findRelease(database, app, c.req.param("release")).sealedConfig));
    });
};

function isEligibleForRollback(release: Release): boolean {
  return release.status === "succeeded" && release.slugId !== null;
}

/** The other end of `output_stream_url`: the signature in the address is the permission. */
export const releaseOutputsApi = (platform: Platform) =>
  new Hono<ApiEnvironment>().get("/:app/:release/:signature", (c) => {
    const { database, vault } = platform;
    const app = lookUpApp(database, c.req.param("app"));
    const signature = outputSignature(vault, c.req.param("release"));
    if (!app || !isSame(c.req.param("signature"), signature))
      throw new PlatformError("not_found", "No such output.");
    const release = findRelease(database, app, c.req.param("release"));
    c.env?.server?.timeout(c.req.raw, 0);
    return c.body(platform.releaseOutput(app, release), 200, {
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-store",
    });
  });

function outputSignature(vault: Platform["vault"], releaseId: string): string {
  return vault.sign(`release-output ${releaseId}`);
}

function isSame(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

function presenter({ database, vault, urls }: Platform, app: App) {
  const current = currentRelease(database, app)?.id;
  return (release: Release) => ({
    addon_plan_names: [] as string[],
    app: { id: app.id, name: app.name },
    artifacts: release.slugId === null ? [] : [{ id: release.slugId, type: "slug" }],
    created_at: release.createdAt.toISOString(),
    current: release.id === current,
    description: release.description,
    eligible_for_rollback: isEligibleForRollback(release),
    id: release.id,
    output_stream_url: release.hasOutput
      ? `${urls.api}/release-outputs/${app.id}/${release.id}/${outputSignature(vault, release.id)}`
      : null,
    slug: release.slugId === null ? null : { id: release.slugId },
    status: release.status,
    updated_at: release.updatedAt.toISOString(),
    user: { email: findAccount(database, release.userId)?.email ?? "", id: release.userId },
    version: release.version,
  });
}
