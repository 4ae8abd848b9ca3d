import { and, desc, eq, inArray, isNotNull, lt, notInArray } from "drizzle-orm";
import type { App } from "./app.ts";
import type { Database } from "./database.ts";
import { releases } from "./release.ts";
import { archivesOf, type Slug, slugs } from "./slug.ts";

/** The slugs of the newest releases with code, newest first; one that was released twice counts twice. */
function newestSlugIds(database: Database, app: App, count: number): string[] {
  return database
    .select({ slugId: releases.slugId })
    .from(releases)
    .where(and(eq(releases.appId, app.id), isNotNull(releases.slugId)))
    .orderBy(desc(releases.version))
    .limit(count)
    .all()
    .map(({ slugId }) => slugId as string);
}

function slugIdsOf(database: Database, releaseIds: string[]): string[] {
  if (releaseIds.length === 0) return [];
  return database
    .select({ slugId: releases.slugId })
    .from(releases)
    .where(inArray(releases.id, releaseIds))
    .all()
    .flatMap(({ slugId }) => slugId ?? []);
}

/** The slugs of an app that neither the newest so many releases with code nor the named ones need. */
export function outdatedSlugs(
  database: Database,
  app: App,
  keep: { newestReleases: number; releaseIds: string[]; youngerThan: Date },
): Slug[] {
  const kept = [
    ...newestSlugIds(database, app, keep.newestReleases),
    ...slugIdsOf(database, keep.releaseIds),
  ];
  return database
    .select()
    .from(slugs)
    .where(
      and(
        eq(slugs.appId, app.id),
        lt(slugs.createdAt, keep.youngerThan),
        notInArray(slugs.id, kept),
      ),
    )
    .all();
}

/** The archives of the newest so many releases with code of an app, and of the named ones. */
export function archivesInUse(
  database: Database,
  app: App,
  keep: { newestReleases: number; releaseIds: string[] },
): string[] {
  const ids = [
    ...newestSlugIds(database, app, keep.newestReleases),
    ...slugIdsOf(database, keep.releaseIds),
  ];
  return database
    .select({ sha256: slugs.sha256, images: slugs.images })
    .from(slugs)
    .where(inArray(slugs.id, ids))
    .all()
    .flatMap(archivesOf);
}
