import { and, desc, eq, gt } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { PlatformError } from "../lib/platform-error.ts";
import { type Account, accounts } from "./account.ts";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";

/** A buildpack that a build has used, and which version of it: a commit, or the SHA-256 of an archive. */
export interface UsedBuildpack {
  buildpack: string;
  version: string | null;
}

/** Where the code of a build comes from, as its maker said it. */
export interface SourceBlob {
  /** Without secrets; `null` for a push. */
  url: string | null;
  version: string;
  versionDescription: string | null;
  /** `SHA256:…` in hex; the archive must have it. */
  checksum: string | null;
}

export const builds = sqliteTable("builds", {
  id: text().primaryKey(),
  appId: text()
    .notNull()
    .references(() => apps.id, { onDelete: "cascade" }),
  userId: text()
    .notNull()
    .references(() => accounts.id),
  slugId: text(),
  releaseId: text(),
  status: text({ enum: ["pending", "succeeded", "failed"] }).notNull(),
  sourceVersion: text().notNull(),
  sourceUrl: text(),
  sourceDescription: text(),
  sourceChecksum: text(),
  /** What was used; what was asked for, until that is known. */
  buildpacks: text({ mode: "json" }).$type<UsedBuildpack[]>().notNull().default([]),
  stack: text(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type Build = typeof builds.$inferSelect;

export function createBuild(
  database: Database,
  {
    app,
    user,
    source,
    buildpacks = [],
  }: { app: App; user: Account; source: SourceBlob; buildpacks?: UsedBuildpack[] },
): Build {
  const now = new Date();
  return database
    .insert(builds)
    .values({
      id: crypto.randomUUID(),
      appId: app.id,
      userId: user.id,
      status: "pending",
      sourceVersion: source.version,
      sourceUrl: source.url,
      sourceDescription: source.versionDescription,
      sourceChecksum: source.checksum,
      buildpacks,
      stack: app.stack,
      createdAt: now,
      updatedAt: now,
    })
    .returning()
    .get();
}

/** What becomes known of a build on its way. A build that has ended stays as it ended. */
export function updateBuild(
  database: Database,
  build: Build,
  change: Partial<Pick<Build, "status" | "slugId" | "releaseId" | "buildpacks">>,
): void {
  database
    .update(builds)
    .set({ ...change, updatedAt: new Date() })
    .where(and(eq(builds.id, build.id), eq(builds.status, "pending")))
    .run();
}

/** Newest first. */
export function listBuilds(database: Database, app: App, max?: number): Build[] {
  const query = database
    .select()
    .from(builds)
    .where(eq(builds.appId, app.id))
    .orderBy(desc(builds.createdAt));
  return max === undefined ? query.all() : query.limit(max).all();
}

export function findBuild(database: Database, app: App, id: string): Build {
  const build = database
    .select()
    .from(builds)
    .where(and(eq(builds.appId, app.id), eq(builds.id, id)))
    .get();
  if (!build)
    throw new PlatformError(
      "not_found",
      `Couldn't find build ${JSON.stringify(id.slice(0, 40))} of ${app.name}. See stator builds -a ${app.name}.`,
    );
  return build;
}

/** Whether a build of this version was begun before. */
export function isBuilt(database: Database, app: App, version: string): boolean {
  const found = database
    .select({ id: builds.id })
    .from(builds)
    .where(and(eq(builds.appId, app.id), eq(builds.sourceVersion, version)))
    .limit(1)
    .get();
  return found !== undefined;
}

/** The buildpacks of the last build that succeeded. */
export function lastUsedBuildpacks(database: Database, app: App): UsedBuildpack[] {
  const build = database
    .select({ buildpacks: builds.buildpacks })
    .from(builds)
    .where(and(eq(builds.appId, app.id), eq(builds.status, "succeeded")))
    .orderBy(desc(builds.createdAt))
    .limit(1)
    .get();
  return build?.buildpacks ?? [];
}

/** The next ones behind the newest so many of an app. */
export function olderBuilds(database: Database, app: App, newest: number): string[] {
  return database
    .select({ id: builds.id })
    .from(builds)
    .where(eq(builds.appId, app.id))
    .orderBy(desc(builds.createdAt))
    .limit(newest)
    .offset(newest)
    .all()
    .map(({ id }) => id);
}

/** Those of the ids that are none of the newest so many builds of an app that is there. */
export function outdatedBuilds(database: Database, ids: string[], keptOfApp: number): string[] {
  return ids.filter((id) => {
    const build = database.select().from(builds).where(eq(builds.id, id)).get();
    if (!build) return true;
    const younger = database
      .select({ id: builds.id })
      .from(builds)
      .where(and(eq(builds.appId, build.appId), gt(builds.createdAt, build.createdAt)))
      .limit(keptOfApp)
      .all();
    return younger.length >= keptOfApp;
  });
}

/** Builds that were running when the server died cannot go on: nobody holds their push any more. */
export function failInterruptedBuilds(database: Database): void {
  database
    .update(builds)
    .set({ status: "failed", updatedAt: new Date() })
    .where(eq(builds.status, "pending"))
    .run();
}
