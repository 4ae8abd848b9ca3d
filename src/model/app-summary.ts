import { eq, sql } from "drizzle-orm";
import { accounts } from "./account.ts";
import { type App, apps } from "./app.ts";
import { type Database, prepared } from "./database.ts";
import { releases } from "./release.ts";
import { slugs } from "./slug.ts";

/** What is told of an app besides the app itself: its owner, and what runs. */
export interface AppSummary {
  ownerEmail: string;
  releasedAt: Date | null;
  slugSizeBytes: number | null;
  buildpackDescription: string | null;
  /** What the current release was built for. */
  stack: string | null;
}

const findSummaries = prepared((database) => {
  // The current release, as `currentRelease` has it.
  const current = sql`(select ${releases.id} from ${releases} where ${releases.appId} = ${apps.id} and ${releases.status} = 'succeeded' order by ${releases.version} desc limit 1)`;
  return database
    .select({
      appId: apps.id,
      ownerEmail: accounts.email,
      releasedAt: releases.createdAt,
      slugSizeBytes: slugs.sizeBytes,
      buildpackDescription: slugs.buildpackDescription,
      stack: slugs.stack,
    })
    .from(apps)
    .innerJoin(accounts, eq(accounts.id, apps.ownerId))
    .leftJoin(releases, eq(releases.id, current))
    .leftJoin(slugs, eq(slugs.id, releases.slugId))
    .where(sql`${apps.id} in (select value from json_each(${sql.placeholder("ids")}))`)
    .prepare();
});

/** Those of many apps in one query, by the apps' ids: there may be a thousand in a list. */
export function summariesOf(database: Database, of: App[]): Map<string, AppSummary> {
  const rows = findSummaries(database).all({ ids: JSON.stringify(of.map(({ id }) => id)) });
  return new Map(rows.map(({ appId, ...summary }) => [appId, summary]));
}
