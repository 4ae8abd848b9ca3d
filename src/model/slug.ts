import { eq, inArray, isNotNull } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";

export type ProcessTypes = Record<string, string>;

/** The container image that dynos of a type run on, and what it says of them. */
export interface SlugImage {
  /** Its own name: the SHA-256 of its configuration, `sha256:…`. */
  id: string;
  /** Name and size of the archive of its root, as of a slug. */
  sha256: string;
  sizeBytes: number;
  environment: Record<string, string>;
  entrypoint: string[];
  command: string[];
  workingDirectory: string;
  home: string;
}

/** `ownCommand`: the type runs what its image says, and not a command of `heroku.yml`. */
export type TypeImage = SlugImage & { ownCommand: boolean };

/** An image's own ENTRYPOINT and CMD, as one would type them; empty when it has none. Pure. */
export function imageCommand({ entrypoint, command }: Pick<SlugImage, "entrypoint" | "command">) {
  return [...entrypoint, ...command]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}

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
  /** What its buildpack wants the app to have from its first deploy on. */
  addons: text({ mode: "json" }).$type<string[]>().notNull().default([]),
  /** The image of each type, when its dynos have a root of their own; `sha256` is then one of theirs. */
  images: text({ mode: "json" }).$type<Record<string, TypeImage>>(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type Slug = typeof slugs.$inferSelect;

type Optional = "addons" | "stackDigest" | "images";

export function createSlug(
  database: Database,
  slug: Omit<Slug, "id" | "createdAt" | Optional> & Partial<Pick<Slug, "id" | Optional>>,
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

/** The archives that a slug is made of. Pure. */
export function archivesOf({ sha256, images }: Pick<Slug, "sha256" | "images">): string[] {
  return images ? [...new Set(Object.values(images).map((image) => image.sha256))] : [sha256];
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
  for (const { images } of database
    .select({ images: slugs.images })
    .from(slugs)
    .where(isNotNull(slugs.images))
    .all())
    for (const { sha256 } of Object.values(images ?? {})) known.add(sha256);
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
