import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import { readConfigVars } from "../model/config-vars.ts";
import { createRelease, type Release } from "../model/release.ts";
import type { Slug } from "../model/slug.ts";
import { announce } from "./go-live.ts";
import type { ReleaseContext } from "./release-context.ts";

/** A new release of a slug that is there, with the config of now; nothing is built (contract §4.5). */
export function releaseSlug(
  context: ReleaseContext,
  app: App,
  { slug, user, description }: { slug: Slug; user: Account; description: string | undefined },
): Release {
  const { database, vault } = context;
  const release = createRelease(database, vault, {
    ...{ app, user, slugId: slug.id, status: "pending" },
    description: description ?? `Deploy ${slug.commit.slice(0, 8)}`.trim(),
    config: readConfigVars(database, vault, app),
  });
  announce(context, app, { release, user });
  return release;
}
