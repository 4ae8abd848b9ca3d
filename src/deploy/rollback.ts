import { PlatformError } from "../lib/platform-error.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import { writeConfigVars } from "../model/config-vars.ts";
import { createRelease, type Release } from "../model/release.ts";
import { findSlug } from "../model/slug.ts";
import { announce } from "./go-live.ts";
import type { ReleaseContext } from "./release-context.ts";

/** A new release with the slug and the config of an old one; nothing is built (contract §6.1). */
export function rollBack(
  context: ReleaseContext,
  app: App,
  { to, user }: { to: Release; user: Account },
): Release {
  const { database, vault } = context;
  const slug = to.slugId ? findSlug(database, to.slugId) : undefined;
  if (to.appId !== app.id || to.status !== "succeeded" || !slug)
    throw new PlatformError(
      "invalid_params",
      `Cannot roll back to v${to.version}: ${slug ? `it is ${to.status}` : "it has no code"}. Choose another one: stator releases -a ${app.name}`,
    );
  const config = vault.open(to.sealedConfig);
  const description = `Rollback to v${to.version}`;
  const release = database.transaction(() => {
    writeConfigVars(database, vault, { app, vars: config });
    return createRelease(database, vault, {
      app,
      user,
      description,
      slugId: slug.id,
      config,
      status: "pending",
    });
  });
  announce(context, app, { release, user });
  return release;
}
