import type { LiveDyno } from "../dyno/live-dyno.ts";
import { type App, listApps } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import { unpushedArchives } from "../model/pushed-image.ts";
import { archivesOf, deleteSlugs, unknownArchives } from "../model/slug.ts";
import { archivesInUse, outdatedSlugs } from "../model/slug-retention.ts";
import type { SlugStore } from "../slug/slug-store.ts";

/** So many releases with code can be gone back to; so many of their slugs lie there unpacked. */
const keptReleases = 20;
const unpackedReleases = 3;
const builtJustNowMs = 60 * 60_000;

/** After a deploy: deletes the slugs of the app that no kept release and no dyno needs. */
export async function sweepApp(
  database: Database,
  app: App,
  { store, liveDynos }: { store: SlugStore; liveDynos: LiveDyno[] },
): Promise<void> {
  const releaseIds = liveDynos
    .filter((live) => live.app.id === app.id)
    .map(({ dyno }) => dyno.releaseId);
  const outdated = outdatedSlugs(database, app, {
    newestReleases: keptReleases,
    releaseIds,
    youngerThan: new Date(Date.now() - builtJustNowMs),
  });
  deleteSlugs(database, outdated);
  // The same archive may be a slug of another release, or of another app.
  const archives = [...new Set(outdated.flatMap(archivesOf))];
  store.removeArchives(unpushedArchives(database, unknownArchives(database, archives)));
  const unpacked = archivesInUse(database, app, { newestReleases: unpackedReleases, releaseIds });
  await store.keepUnpacked(app.idRange, new Set(unpacked));
}

/** At the start, and when an app has gone: all apps, and what belongs to none. */
export async function sweepAll(
  database: Database,
  context: { store: SlugStore; liveDynos: LiveDyno[] },
): Promise<void> {
  const { store } = context;
  const apps = listApps(database);
  for (const app of apps) await sweepApp(database, app, context);
  store.removeArchives(unpushedArchives(database, unknownArchives(database, store.listArchives())));
  const ranges = new Set(apps.map(({ idRange }) => idRange));
  for (const range of store.listRanges())
    if (!ranges.has(range)) await store.keepUnpacked(range, new Set());
}
