import type { Account } from "../model/account.ts";
import { type App, type AppPlace, createApp } from "../model/app.ts";
import { createRelease } from "../model/release.ts";
import { type ReleaseContext, tell } from "./release-context.ts";

/** What happens to every app before its first deploy, which so is v3 (contract §6.1, clause 3). */
const firstReleases = ["Initial release", "Enable Logplex"];

/** Makes an app with its first two releases, or nothing. */
export function makeApp(
  context: Pick<ReleaseContext, "database" | "vault" | "logs">,
  { name, user, ...place }: { name?: string | undefined; user: Account } & AppPlace,
): App {
  const { database, vault } = context;
  const app = database.transaction(() => {
    const made = createApp(database, { name, owner: user, ...place });
    for (const description of firstReleases)
      createRelease(database, vault, {
        ...{ app: made, user, description },
        ...{ slugId: null, config: {}, status: "succeeded" },
      });
    return made;
  });
  for (const [index, description] of firstReleases.entries()) {
    tell(context, app, `${description} by user ${user.email}`);
    tell(context, app, `Release v${index + 1} created by user ${user.email}`);
  }
  return app;
}
