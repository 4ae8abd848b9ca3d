import { eq, inArray } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type App, apps } from "./app.ts";
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
  /** The image that its dynos run on; `null`: the machine's own software. */
  stackDigest: text(),
  buildpackDescription: text().notNull(),
  processTypes: text({ mode: "json" }).$type<ProcessTypes>().notNull(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type Slug = typeof slugs.$inferSelect;

export function createSlug(
  database: Database,
  slug: Omit<Slug, "id" | "createdAt" | "stackDigest"> & {
    id?: string;
    stackDigest?: string | null;
  },
): Slug {
  return database
    .insert(slugs)
    .values({ id: crypto.randomUUID(), ...slug, createdAt: new Date() })
    .returning()
    .get();
}

export function findSlug(database: Database, id: string): Slug | undefined {
  return database.select().from(slugs).where(eq(slugs.id, id)).get();
}

const atOnce = 500;

/** Those of the archives that no slug has. */
export function unknownArchives(database: Database, archives: string[]): string[] {
  const known = new Set<string>();
  for (let start = 0; start < archives.length; start += atOnce)
    for (const { sha256 } of database
      .select({ sha256: slugs.sha256 })
      .from(slugs)
      .where(inArray(slugs.sha256, archives.slice(start, start + atOnce)))
      .all())
      known.add(sha256);
  return archives.filter((sha256) => !known.has(sha256));
}

export function listSlugs(database: Database, app: App): Slug[] {
  return database.select().from(slugs).where(eq(slugs.appId, app.id)).all();
}

export function deleteSlugs(database: Database, outdated: Slug[]): void {
  for (let start = 0; start < outdated.length; start += atOnce) {
    const ids = outdated.slice(start, start + atOnce).map(({ id }) => id);
    database.delete(slugs).where(inArray(slugs.id, ids)).run();
  }
}
