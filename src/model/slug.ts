import { eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { apps } from "./app.ts";
import type { Database } from "./database.ts";

export type ProcessTypes = Record<string, string>;

export const slugs = sqliteTable("slugs", {
  id: text().primaryKey(),
  appId: text()
    .notNull()
    .references(() => apps.id, { onDelete: "cascade" }),
  /** Name of the archive: the SHA-256 of its bytes, in hex. */
  sha256: text().notNull(),
  sizeBytes: integer().notNull(),
  commit: text().notNull(),
  stack: text().notNull(),
  buildpackDescription: text().notNull(),
  processTypes: text({ mode: "json" }).$type<ProcessTypes>().notNull(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type Slug = typeof slugs.$inferSelect;

export function createSlug(database: Database, slug: Omit<Slug, "id" | "createdAt">): Slug {
  return database
    .insert(slugs)
    .values({ ...slug, id: crypto.randomUUID(), createdAt: new Date() })
    .returning()
    .get();
}

export function findSlug(database: Database, id: string): Slug | undefined {
  return database.select().from(slugs).where(eq(slugs.id, id)).get();
}

export function listSlugs(database: Database): Slug[] {
  return database.select().from(slugs).all();
}

export function deleteSlug(database: Database, slug: Slug): void {
  database.delete(slugs).where(eq(slugs.id, slug.id)).run();
}
