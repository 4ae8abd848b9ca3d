import { Hono } from "hono";
import { z } from "zod";
import { findAccount } from "../../model/account.ts";
import { type App, findApp, listApps } from "../../model/app.ts";
import { currentRelease } from "../../model/release.ts";
import { findSlug } from "../../model/slug.ts";
import type { Platform } from "../../platform.ts";
import type { ApiEnvironment } from "../authenticate.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { stableId } from "../stable-id.ts";

const name = z.string("must be a string");
const newApp = z.object({ name: name.nullish() });
const appChange = z.object({
  name: name.optional(),
  maintenance: z.boolean("must be true or false").optional(),
  /** Seconds without a request until its dynos sleep; ours, Heroku has no such field. */
  sleep_after: z
    .int("must be a number of seconds")
    .min(1, "must be at least 1 second")
    .max(366 * 86_400, "must be at most a year")
    .nullish(),
});

export const appsApi = (platform: Platform) => {
  const { database } = platform;
  const present = (app: App) => presentApp(platform, app);
  return new Hono<ApiEnvironment>()
    .get("/", (c) =>
      c.json(
        pageOf(c, listApps(database), {
          name: (app) => app.name,
          id: (app) => app.id,
          updated_at: (app) => app.updatedAt.toISOString(),
        }).map(present),
      ),
    )
    .post("/", body(newApp), async (c) => {
      const { name } = c.req.valid("json");
      const app = await platform.createApp({ name: name ?? undefined, user: c.var.account });
      return c.json(present(app), 201);
    })
    .get("/:app", (c) => c.json(present(findApp(database, c.req.param("app")))))
    .patch("/:app", body(appChange), async (c) => {
      let app = findApp(database, c.req.param("app"));
      const { name, maintenance, sleep_after: sleepAfter } = c.req.valid("json");
      if (name !== undefined && name !== app.name) app = await platform.renameApp(app, name);
      if (maintenance !== undefined && maintenance !== app.maintenance)
        app = await platform.setMaintenance(app, maintenance);
      if (sleepAfter !== undefined)
        app = await platform.setSleep(app, sleepAfter === null ? null : sleepAfter * 1000);
      return c.json(present(app));
    })
    .delete("/:app", async (c) => {
      const app = findApp(database, c.req.param("app"));
      const answer = present(app);
      await platform.destroyApp(app);
      return c.json(answer);
    });
};

function presentApp({ database, urls }: Platform, app: App) {
  const release = currentRelease(database, app);
  const slug = release?.slugId ? findSlug(database, release.slugId) : undefined;
  const stack = { id: stableId("stack", app.stack), name: app.stack };
  return {
    acm: false,
    archived_at: null,
    build_stack: stack,
    buildpack_provided_description: slug?.buildpackDescription ?? null,
    created_at: app.createdAt.toISOString(),
    generation: { id: stableId("generation", "cedar"), name: "cedar" },
    git_url: urls.git(app),
    id: app.id,
    internal_routing: null,
    maintenance: app.maintenance,
    name: app.name,
    organization: null,
    owner: { email: findAccount(database, app.ownerId)?.email ?? "", id: app.ownerId },
    region: { id: stableId("region", "local"), name: "local" },
    released_at: release?.createdAt.toISOString() ?? null,
    repo_size: null,
    sleep_after: app.sleepAfterMs === null ? null : app.sleepAfterMs / 1000,
    slug_size: slug?.sizeBytes ?? null,
    space: null,
    stack,
    team: null,
    updated_at: app.updatedAt.toISOString(),
    web_url: urls.web(app),
  };
}
