import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { answers } from "../answers.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { account, type ApiEnvironment } from "../policy.ts";
import { stableId } from "../stable-id.ts";
import { featureAnswer } from "./features.ts";

const change = z.object({ enabled: z.boolean("must be true or false") });

/** What Heroku's command line asks for before it takes a way that is spoken here; always on. */
const features = [
  {
    created_at: "2026-01-01T00:00:00.000Z",
    description: "Review apps are set up by the API of the platform itself.",
    display_name: "Dashboard repositories API",
    doc_url: "",
    enabled: true,
    feedback_email: "",
    id: stableId("account-feature", "dashboard-repositories-api"),
    name: "dashboard-repositories-api",
    state: "general",
    updated_at: "2026-01-01T00:00:00.000Z",
  },
];

export const accountFeaturesApi = () =>
  new Hono<ApiEnvironment>()
    .get("/account/features", account("identity"), answers(z.array(featureAnswer)), (c) =>
      c.json(pageOf(c, features, { name: (one) => one.name, id: (one) => one.id })),
    )
    .get("/account/features/:feature", account("identity"), answers(featureAnswer), (c) =>
      c.json(findFeature(c.req.param("feature"))),
    )
    .patch(
      "/account/features/:feature",
      account("global"),
      answers(featureAnswer),
      body(change),
      (c) => {
        const feature = findFeature(c.req.param("feature"));
        if (c.req.valid("json").enabled) return c.json(feature);
        throw new PlatformError("invalid_params", `${feature.name} is always on.`);
      },
    );

function findFeature(idOrName: string) {
  const found = features.find(({ id, name }) => id === idOrName || name === idOrName);
  if (found) return found;
  throw new PlatformError("not_found", "Couldn't find that feature.", { resource: "feature" });
}
