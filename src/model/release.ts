import { and, asc, desc, eq, gt, gte, inArray, isNotNull, lt, lte, sql } from "drizzle-orm";
import { blob, integer, sqliteTable, text, unique } from "drizzle-orm/sqlite-core";
import { PlatformError } from "../lib/platform-error.ts";
import { type Account, accounts } from "./account.ts";
import { type App, apps } from "./app.ts";
import type { ConfigVars } from "./config-vars.ts";
import { type Database, prepared } from "./database.ts";
import { isFeatureEnabled } from "./feature.ts";
import { releaseType } from "./formation.ts";
import { findSlug, slugs } from "./slug.ts";
import type { Vault } from "./vault.ts";

/** A release is code and config: what runs, and what can be gone back to. */
export const releases = sqliteTable(
  "releases",
  {
    id: text().primaryKey(),
    appId: text()
      .notNull()
      .references(() => apps.id, { onDelete: "cascade" }),
    version: integer().notNull(),
    status: text({ enum: ["pending", "succeeded", "failed"] }).notNull(),
    description: text().notNull(),
    /** A push waits for it: without its server it has not come about. All others were acknowledged. */
    ofPush: integer({ mode: "boolean" }).notNull(),
    /** Whether its dynos are told of it in variables: the app's lab `runtime-dyno-metadata`. */
    withMetadata: integer({ mode: "boolean" }).notNull().default(false),
    /** Whether it has a release command, so that there is, or will be, an output to read. */
    hasOutput: integer({ mode: "boolean" }).notNull().default(false),
    slugId: text().references(() => slugs.id, { onDelete: "set null" }),
    sealedConfig: blob({ mode: "buffer" }).notNull(),
    userId: text()
      .notNull()
      .references(() => accounts.id),
    createdAt: integer({ mode: "timestamp_ms" }).notNull(),
    updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
  },
  (table) => [unique().on(table.appId, table.version)],
);

export type Release = typeof releases.$inferSelect;

export interface NewRelease {
  app: App;
  user: Account;
  description: string;
  slugId: string | null;
  config: ConfigVars;
  status: Release["status"];
  ofPush?: boolean;
}

/** Appends a release; its version is the last one plus one, and no number is given twice. */
export function createRelease(database: Database, vault: Vault, release: NewRelease): Release {
  const { app, user, description, slugId, config, status } = release;
  const now = new Date();
  return database.transaction((transaction) => {
    const last = transaction
      .select({ version: releases.version })
      .from(releases)
      .where(eq(releases.appId, app.id))
      .orderBy(desc(releases.version))
      .limit(1)
      .get();
    return transaction
      .insert(releases)
      .values({
        id: crypto.randomUUID(),
        appId: app.id,
        version: (last?.version ?? 0) + 1,
        status,
        description,
        ofPush: release.ofPush ?? false,
        withMetadata: isFeatureEnabled(app, "runtime-dyno-metadata"),
        hasOutput: status === "pending" && hasReleaseCommand(database, slugId),
        slugId,
        sealedConfig: Buffer.from(vault.seal(config)),
        userId: user.id,
        createdAt: now,
        updatedAt: now,
      })
      .returning()
      .get();
  });
}

/** Whether an app was deployed before, whatever has become of it. */
export function hasCode(database: Database, app: App): boolean {
  const found = database
    .select({ id: releases.id })
    .from(releases)
    .where(and(eq(releases.appId, app.id), isNotNull(releases.slugId)))
    .limit(1)
    .get();
  return found !== undefined;
}

/** Newest first. */
export function listReleases(database: Database, app: App): Release[] {
  return database
    .select()
    .from(releases)
    .where(eq(releases.appId, app.id))
    .orderBy(desc(releases.version))
    .all();
}

export interface ReleaseRange {
  field: "version" | "id";
  /** Bounds as texts: after this one, from this one on, up to this one. */
  after: string | undefined;
  from: string | undefined;
  to: string | undefined;
  descending: boolean;
  limit: number;
}

/** Some of an app's releases in the order of a field: an app may have a hundred thousand. */
export function findReleases(database: Database, app: App, range: ReleaseRange): Release[] {
  const column = range.field === "version" ? releases.version : releases.id;
  const bound = (text: string) => (range.field === "version" ? Number(text) : text);
  const [past, fromHere, toThere, order] = range.descending
    ? ([lt, lte, gte, desc] as const)
    : ([gt, gte, lte, asc] as const);
  return database
    .select()
    .from(releases)
    .where(
      and(
        eq(releases.appId, app.id),
        range.after === undefined ? undefined : past(column, bound(range.after)),
        range.from === undefined ? undefined : fromHere(column, bound(range.from)),
        range.to === undefined ? undefined : toThere(column, bound(range.to)),
      ),
    )
    .orderBy(order(column))
    .limit(range.limit)
    .all();
}

/** The release that ought to run: the newest one that succeeded. */
export function currentRelease(database: Database, app: App): Release | undefined {
  return findCurrent(database).get({ appId: app.id });
}

const findCurrent = prepared((database) =>
  database
    .select()
    .from(releases)
    .where(and(eq(releases.appId, sql.placeholder("appId")), eq(releases.status, "succeeded")))
    .orderBy(desc(releases.version))
    .limit(1)
    .prepare(),
);

/** Finds a release by its id, `v12` or `12`. */
export function findRelease(database: Database, app: App, idOrVersion: string): Release {
  const version = /^v?(\d{1,9})$/.exec(idOrVersion)?.[1];
  const release = database
    .select()
    .from(releases)
    .where(
      and(
        eq(releases.appId, app.id),
        version ? eq(releases.version, Number(version)) : eq(releases.id, idOrVersion),
      ),
    )
    .get();
  if (!release)
    throw new PlatformError(
      "not_found",
      `Couldn't find release ${JSON.stringify(idOrVersion.slice(0, 40))} of ${app.name}. See stator releases -a ${app.name}.`,
    );
  return release;
}

export function setReleaseStatus(
  database: Database,
  release: Release,
  status: Release["status"],
): Release {
  return database
    .update(releases)
    .set({ status, updatedAt: new Date() })
    .where(eq(releases.id, release.id))
    .returning()
    .get();
}

function hasReleaseCommand(database: Database, slugId: string | null): boolean {
  const slug = slugId === null ? undefined : findSlug(database, slugId);
  return slug !== undefined && Object.hasOwn(slug.processTypes, releaseType);
}

/** Those of the ids that no release has. */
export function unknownReleases(database: Database, ids: string[]): string[] {
  const known = new Set<string>();
  for (let start = 0; start < ids.length; start += 500)
    for (const { id } of database
      .select({ id: releases.id })
      .from(releases)
      .where(inArray(releases.id, ids.slice(start, start + 500)))
      .all())
      known.add(id);
  return ids.filter((id) => !known.has(id));
}

/**
 * After a server has died while releases were rolled out: the one of a push has failed, since nobody
 * was told of it; of the acknowledged ones the newest of each app is returned, to be rolled out now.
 */
export function settleInterruptedReleases(database: Database): Release[] {
  const pending = database
    .select()
    .from(releases)
    .where(eq(releases.status, "pending"))
    .orderBy(releases.version)
    .all();
  const newest = new Map<string, Release>();
  for (const release of pending) {
    if (release.ofPush) {
      setReleaseStatus(database, release, "failed");
      continue;
    }
    const older = newest.get(release.appId);
    if (older) setReleaseStatus(database, older, "succeeded");
    newest.set(release.appId, release);
  }
  return [...newest.values()];
}
