import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import type { App } from "../../model/app.ts";
import { type Feature, features, isFeatureEnabled } from "../../model/feature.ts";
import type { Platform } from "../../platform.ts";
import { answers, born } from "../answers.ts";
import { body, onOrOff } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { type ApiEnvironment, member } from "../policy.ts";
import { stableId } from "../stable-id.ts";

const change = z.object({ enabled: onOrOff });

/** Of an app's features, and an account's. */
export const featureAnswer = z.object({
  ...born,
  description: z.string(),
  display_name: z.string(),
  doc_url: z.string(),
  enabled: z.boolean(),
  feedback_email: z.string(),
  name: z.string(),
  state: z.string(),
});

export const featuresApi = (platform: Platform) =>
  new Hono<ApiEnvironment>()
    .get("/:app/features", member("read"), answers(z.array(featureAnswer)), (c) => {
      const all = features.map((feature) => presentFeature(c.var.app, feature));
      return c.json(pageOf(c, all, { name: (one) => one.name, id: (one) => one.id }));
    })
    .get("/:app/features/:feature", member("read"), answers(featureAnswer), (c) => {
      return c.json(presentFeature(c.var.app, findFeature(c.req.param("feature"))));
    })
    .patch(
      "/:app/features/:feature",
      member("write"),
      answers(featureAnswer),
      body(change),
      async (c) => {
        const feature = findFeature(c.req.param("feature"));
        const { enabled } = c.req.valid("json");
        const changed = await platform.setFeature(c.var.app, feature.name, enabled);
        return c.json(presentFeature(changed, feature));
      },
    );

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

function presentFeature(
  app: App,
  { name, description, state }: Feature,
): z.input<typeof featureAnswer> {
  return {
    created_at: app.createdAt.toISOString(),
    description,
    display_name: name,
    doc_url: "",
    enabled: isFeatureEnabled(app, name),
    feedback_email: "",
    id: idOf(name),
    name,
    state,
    updated_at: app.updatedAt.toISOString(),
  };
}
