import { and, desc, eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type Account, accounts } from "./account.ts";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";

export const builds = sqliteTable("builds", {
  id: text().primaryKey(),
  appId: text()
    .notNull()
    .references(() => apps.id, { onDelete: "cascade" }),
  userId: text()
    .notNull()
    .references(() => accounts.id),
  slugId: text(),
  status: text({ enum: ["pending", "succeeded", "failed"] }).notNull(),
  sourceVersion: text().notNull(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type Build = typeof builds.$inferSelect;

export function createBuild(
  database: Database,
  { app, user, sourceVersion }: { app: App; user: Account; sourceVersion: string },
): Build {
  const now = new Date();
  return database
    .insert(builds)
    .values({
      id: crypto.randomUUID(),
      appId: app.id,
      userId: user.id,
      status: "pending",
      sourceVersion,
      createdAt: now,
      updatedAt: now,
    })
    .returning()
    .get();
}

export function finishBuild(
  database: Database,
  build: Build,
  result: { status: "succeeded"; slugId: string } | { status: "failed" },
): void {
  database
    .update(builds)
    .set({ ...result, updatedAt: new Date() })
    .where(eq(builds.id, build.id))
    .run();
}

export function listBuilds(database: Database, app: App): Build[] {
  return database
    .select()
    .from(builds)
    .where(eq(builds.appId, app.id))
    .orderBy(desc(builds.createdAt))
    .all();
}

/** Builds that were running when the server died cannot go on: nobody holds their push any more. */
export function failInterruptedBuilds(database: Database): void {
  database
    .update(builds)
    .set({ status: "failed", updatedAt: new Date() })
    .where(and(eq(builds.status, "pending")))
    .run();
}
