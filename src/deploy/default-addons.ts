import type { BuildPrinter } from "../build/output.ts";
import type { App } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import { hasCode } from "../model/release.ts";
import type { Slug } from "../model/slug.ts";

/** What the usual ones set. */
const variables: Record<string, string> = {
  "heroku-postgresql": "DATABASE_URL=postgres://…",
  "heroku-redis": "REDIS_URL=redis://…",
};

/**
 * At the first deploy of an app, before its release: what its buildpack wants it to have (contract
 * clause 65). This platform has no add-ons yet, so it is told what is missing.
 */
export async function provideDefaultAddons(
  { database }: { database: Database },
  app: App,
  { slug, print }: { slug: Slug; print: BuildPrinter },
): Promise<void> {
  if (slug.addons.length === 0 || hasCode(database, app)) return;
  const names = slug.addons.join(", ");
  await print.problem(
    `The buildpack wants the app to have ${names}: this platform has no such add-on, so nothing was added.`,
  );
  const settings = slug.addons.map((addon) => variables[addon.split(":", 1)[0] ?? ""] ?? "NAME=…");
  await print.problem(
    `Run the service yourself and give the app its address: stator config:set ${[...new Set(settings)].join(" ")} -a ${app.name}`,
  );
}
