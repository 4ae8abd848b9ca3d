import type { LiveDyno } from "../dyno/live-dyno.ts";
import { listApps } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import { listReleases } from "../model/release.ts";
import { deleteSlug, listSlugs } from "../model/slug.ts";
import type { SlugStore } from "../slug/slug-store.ts";
import type { ReleaseOutputs } from "./release-outputs.ts";

/** So many releases with code can be gone back to; so many of their slugs lie there unpacked. */
const keptReleases = 20;
const unpackedReleases = 3;

/** Deletes the slugs that no kept release and no dyno needs. */
export async function sweepSlugs(
  database: Database,
  store: SlugStore,
  liveDynos: LiveDyno[],
): Promise<void> {
  const slugs = new Map(listSlugs(database).map((slug) => [slug.id, slug]));
  const keptIds = new Set<string>();
  const unpacked = new Set<string>();
  for (const app of listApps(database)) {
    const running = new Set(
      liveDynos.filter((live) => live.app.id === app.id).map((live) => live.dyno.releaseId),
    );
    const withCode = listReleases(database, app).filter(({ slugId }) => slugId !== null);
    withCode.forEach((release, index) => {
      const slug = slugs.get(release.slugId as string);
      if (!slug) return;
      const runs = running.has(release.id);
      if (runs || index < keptReleases) keptIds.add(slug.id);
      if (runs || index < unpackedReleases) unpacked.add(`${app.idRange}/${slug.sha256}`);
    });
  }
  const builtJustNow = Date.now() - 60 * 60_000;
  for (const slug of slugs.values()) {
    if (keptIds.has(slug.id) || slug.createdAt.getTime() > builtJustNow) keptIds.add(slug.id);
    else deleteSlug(database, slug);
  }
  const archives = new Set([...keptIds].map((id) => slugs.get(id)?.sha256 ?? ""));
  await store.sweep({ archives, unpacked });
}

/** Deletes what the commands of releases said that are no more. */
export function sweepReleaseOutputs(database: Database, outputs: ReleaseOutputs): void {
  const ids = listApps(database).flatMap((app) => listReleases(database, app).map(({ id }) => id));
  outputs.sweep(new Set(ids));
}
