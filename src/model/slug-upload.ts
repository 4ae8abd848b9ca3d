import { and, eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";
import type { ProcessTypes } from "./slug.ts";

/**
 * Slugs that were announced by the API, whose archive somebody puts by hand. The slug of the same id is
 * there once the archive is; the announcement stays, since it knows the checksum of what was put.
 */
export const slugUploads = sqliteTable("slug_uploads", {
  id: text().primaryKey(),
  appId: text()
    .notNull()
    .references(() => apps.id, { onDelete: "cascade" }),
  processTypes: text({ mode: "json" }).$type<ProcessTypes>().notNull(),
  /** `SHA256:…`: the archive must have it when it is announced; else of what was put. */
  checksum: text(),
  commit: text(),
  commitDescription: text(),
  buildpackDescription: text(),
  stack: text().notNull(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type SlugUpload = typeof slugUploads.$inferSelect;

export function createSlugUpload(
  database: Database,
  upload: Omit<SlugUpload, "id" | "createdAt">,
): SlugUpload {
  return database
    .insert(slugUploads)
    .values({ ...upload, id: crypto.randomUUID(), createdAt: new Date() })
    .returning()
    .get();
}

export function findSlugUpload(database: Database, app: App, id: string): SlugUpload | undefined {
  return database
    .select()
    .from(slugUploads)
    .where(and(eq(slugUploads.appId, app.id), eq(slugUploads.id, id)))
    .get();
}

export function noteUploadChecksum(database: Database, upload: SlugUpload, checksum: string): void {
  database.update(slugUploads).set({ checksum }).where(eq(slugUploads.id, upload.id)).run();
}
