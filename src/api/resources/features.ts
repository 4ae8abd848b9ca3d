import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { type App, findApp } from "../../model/app.ts";
import { type Feature, features, isFeatureEnabled } from "../../model/feature.ts";
import type { Platform } from "../../platform.ts";
import type { ApiEnvironment } from "../authenticate.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { stableId } from "../stable-id.ts";

const change = z.object({ enabled: z.boolean("must be true or false") });

export const featuresApi = (platform: Platform) =>
  new Hono<ApiEnvironment>()
    .get("/:app/features", (c) => {
      const app = findApp(platform.database, c.req.param("app"));
      const all = features.map((feature) => presentFeature(app, feature));
      return c.json(pageOf(c, all, { name: (one) => one.name, id: (one) => one.id }));
    })
    .get("/:app/features/:feature", (c) => {
      const app = findApp(platform.database, c.req.param("app"));
      return c.json(presentFeature(app, findFeature(c.req.param("feature"))));
    })
    .patch("/:app/features/:feature", body(change), (c) => {
      const app = findApp(platform.database, c.req.param("app"));
      const feature = findFeature(c.req.param("feature"));
      const changed = platform.setFeature(app, feature.name, c.req.valid("json").enabled);
      return c.json(presentFeature(changed, feature));
    });

function findFeature(idOrName: string): Feature {
  const found = features.find(({ name }) => name === idOrName || idOf(name) === idOrName);
  if (found) return found;
  throw new PlatformError(
    "not_found",
    `Couldn't find that feature: ${JSON.stringify(idOrName.slice(0, 80))}. There are: ${features.map(({ name }) => name).join(", ")}.`,
  );
}

function idOf(name: string): string {
  return stableId("feature", name);
}

function presentFeature(app: App, { name, description, state }: Feature) {
  return {
    created_at: app.createdAt.toISOString(),
    description,
    display_name: null,
    doc_url: "",
    enabled: isFeatureEnabled(app, name),
    feedback_email: null,
    id: idOf(name),
    name,
    state,
    updated_at: app.updatedAt.toISOString(),
  };
}
