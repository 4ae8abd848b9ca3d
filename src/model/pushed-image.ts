import { eq } from "drizzle-orm";
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";
import type { SlugImage } from "./slug.ts";

/** The image that was pushed last for a process type, to be released. */
export const pushedImages = sqliteTable(
  "pushed_images",
  {
    appId: text()
      .notNull()
      .references(() => apps.id, { onDelete: "cascade" }),
    type: text().notNull(),
    image: text({ mode: "json" }).$type<SlugImage>().notNull(),
    createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.appId, table.type] })],
);

export type PushedImage = typeof pushedImages.$inferSelect;

/** Takes the place of the one that was pushed before. */
export function pushImage(
  database: Database,
  app: App,
  { type, image }: Pick<PushedImage, "type" | "image">,
): void {
  const set = { image, createdAt: new Date() };
  database
    .insert(pushedImages)
    .values({ appId: app.id, type, ...set })
    .onConflictDoUpdate({ target: [pushedImages.appId, pushedImages.type], set })
    .run();
}

export function listPushedImages(database: Database, app: App): PushedImage[] {
  return database
    .select()
    .from(pushedImages)
    .where(eq(pushedImages.appId, app.id))
    .orderBy(pushedImages.type)
    .all();
}

/** Those of the archives that no pushed image has. */
export function unpushedArchives(database: Database, archives: string[]): string[] {
  const rows = database.select({ image: pushedImages.image }).from(pushedImages).all();
  const pushed = new Set(rows.map(({ image }) => image.sha256));
  return archives.filter((sha256) => !pushed.has(sha256));
}
