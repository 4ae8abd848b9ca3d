import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { answers, born } from "../answers.ts";
import { pageOf } from "../list-range.ts";
import { account, type ApiEnvironment } from "../policy.ts";
import { stableId } from "../stable-id.ts";

/** What there is one of: this machine is the only region, whatever an app's owner calls it. */

/** Where Heroku's clients look for what they may do; the ways of `fir` are not spoken here. */
export const generation = { id: stableId("generation", "cedar"), name: "cedar" };
/** Ours, and Heroku's: scripts have them, and Terraform makes an app anew whose region is another. */
const regionNames = [
  ...["local", "us", "eu", "dublin", "frankfurt", "london", "montreal", "mumbai", "ohio", "oregon"],
  ...["singapore", "sydney", "tokyo", "virginia"],
];
export const regionName = z
  .string("must be a string")
  .refine((name) => regionNames.includes(name), `must be one of ${regionNames.join(", ")}`);

export function regionOf(name: string): { id: string; name: string } {
  return { id: stableId("region", name), name };
}

/** Since these have no date of their own. */
const always = { created_at: "2026-01-01T00:00:00.000Z", updated_at: "2026-01-01T00:00:00.000Z" };

const wholeRegion = (name: string) => ({
  ...{ ...regionOf(name), ...always },
  country: "Here",
  description: "This machine",
  locale: "Here",
  private_capable: false as const,
  // Clients know no region but Amazon's.
  provider: { name: "self-hosted", region: "us-east-1" },
});
const ownRegion = wholeRegion("local");

const generationAnswer = z.object({ ...born, name: z.string() });
const regionAnswer = generationAnswer.extend({
  country: z.string(),
  description: z.string(),
  locale: z.string(),
  private_capable: z.literal(false),
  provider: z.object({ name: z.string(), region: z.string() }),
});

export const placesApi = () =>
  new Hono<ApiEnvironment>()
    .get("/regions", account("identity"), answers(z.array(regionAnswer)), (c) =>
      c.json(pageOf(c, [ownRegion], { name: (one) => one.name, id: (one) => one.id })),
    )
    .get("/regions/:region", account("identity"), answers(regionAnswer), (c) =>
      c.json(found(regionNames.map(wholeRegion), c.req.param("region"), "region")),
    )
    .get("/generations", account("identity"), answers(z.array(generationAnswer)), (c) =>
      c.json(
        pageOf(c, [{ ...generation, ...always }], { name: (one) => one.name, id: (one) => one.id }),
      ),
    )
    .get("/generations/:generation", account("identity"), answers(generationAnswer), (c) =>
      c.json(found([{ ...generation, ...always }], c.req.param("generation"), "generation")),
    );

function found<One extends { id: string; name: string }>(
  all: One[],
  idOrName: string,
  noun: string,
): One {
  const one = all.find(({ id, name }) => id === idOrName || name === idOrName);
  if (one) return one;
  throw new PlatformError(
    "not_found",
    `Couldn't find that ${noun}: ${JSON.stringify(idOrName.slice(0, 80))}. There is: ${all.map(({ name }) => name).join(", ")}.`,
    { resource: noun },
  );
}
