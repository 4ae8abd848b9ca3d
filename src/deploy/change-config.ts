import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import {
  changedConfigVars,
  type ConfigVars,
  readConfigVars,
  writeConfigVars,
} from "../model/config-vars.ts";
import type { Database } from "../model/database.ts";
import { createRelease, listReleases, type Release } from "../model/release.ts";
import { announce } from "./go-live.ts";
import type { ReleaseContext } from "./release-context.ts";

/** One release for one change of config vars; dynos follow in the background (contract §6.2). */
export function changeConfig(
  context: ReleaseContext,
  app: App,
  { change, user }: { change: Record<string, string | null>; user: Account },
): { vars: ConfigVars; release: Release | null } {
  const { database, vault } = context;
  const before = readConfigVars(database, vault, app);
  const vars = changedConfigVars(before, change);
  const set = Object.keys(change).filter((key) => key in vars && vars[key] !== before[key]);
  const removed = Object.keys(change).filter((key) => key in before && !(key in vars));
  if (set.length + removed.length === 0) return { vars, release: null };
  const description = [
    ...(set.length > 0 ? [`Set ${set.join(", ")} config vars`] : []),
    ...(removed.length > 0 ? [`Remove ${removed.join(", ")} config vars`] : []),
  ].join("; ");
  const release = database.transaction(() => {
    writeConfigVars(database, vault, { app, vars });
    return createRelease(database, vault, {
      app,
      user,
      description,
      slugId: newestSlugId(database, app),
      config: vars,
      status: "pending",
    });
  });
  announce(context, app, { release, user });
  return { vars, release };
}

/** The code that the next release without a build carries on. */
function newestSlugId(database: Database, app: App): string | null {
  return listReleases(database, app).find(({ status }) => status !== "failed")?.slugId ?? null;
}
