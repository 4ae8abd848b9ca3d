import { and, eq, isNull, ne, notInArray } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";
import { slugs } from "./slug.ts";

/** The machine's own software: the stack of all apps until they are told otherwise. */
export const hostStackName = "host";

/** What an app's owner calls a stack that the app is for, or that its code was built for. */
export function shownStack({ stack, stackAlias }: App, name = stack): string {
  return name === hostStackName ? (stackAlias ?? name) : name;
}

/** What else apps can be built for and run on: images, under the operator's names for them. */
export const stacks = sqliteTable("stacks", {
  name: text().primaryKey(),
  /** `sha256:…`, as the image store knows it: what dynos run on. */
  digest: text().notNull(),
  /** What builds run on, when that is another one. */
  buildDigest: text(),
  /** What buildpacks are told in `STACK`: `heroku-24`. */
  announced: text().notNull(),
  /** What the image says that it is: `Ubuntu 24.04.3 LTS`. */
  title: text().notNull(),
  /** Where it came from, without secrets. */
  source: text().notNull(),
  sizeBytes: integer().notNull(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type Stack = typeof stacks.$inferSelect;

export function listStacks(database: Database): Stack[] {
  return database.select().from(stacks).orderBy(stacks.name).all();
}

export function lookUpStack(database: Database, name: string): Stack | undefined {
  return database.select().from(stacks).where(eq(stacks.name, name)).get();
}

/**
 * A new stack, or another image under the name of one; apps take it with their next build. To those that
 * took `host` for it, `host` has its own name again.
 */
export function putStack(database: Database, stack: Omit<Stack, "createdAt" | "updatedAt">): Stack {
  const now = new Date();
  const { name, ...change } = stack;
  database.update(apps).set({ stackAlias: null }).where(eq(apps.stackAlias, name)).run();
  return database
    .insert(stacks)
    .values({ ...stack, createdAt: now, updatedAt: now })
    .onConflictDoUpdate({ target: stacks.name, set: { ...change, updatedAt: now } })
    .returning()
    .get();
}

export function deleteStack(database: Database, name: string): void {
  database.delete(stacks).where(eq(stacks.name, name)).run();
}

/** The apps whose next build is for a stack, and those that have code that was built for it. */
export function appsOfStack(database: Database, name: string): { set: string[]; built: string[] } {
  const set = database.select({ name: apps.name }).from(apps).where(eq(apps.stack, name)).all();
  const built = database
    .selectDistinct({ name: apps.name })
    .from(slugs)
    .innerJoin(apps, eq(apps.id, slugs.appId))
    .where(and(eq(slugs.stack, name), ne(apps.stack, name)))
    .all();
  return { set: set.map((app) => app.name), built: built.map((app) => app.name) };
}

/** The images that stacks and slugs need. */
export function imagesInUse(database: Database): Set<string> {
  const ofStacks = listStacks(database).flatMap(({ digest, buildDigest }) => [digest, buildDigest]);
  const ofSlugs = database.selectDistinct({ digest: slugs.stackDigest }).from(slugs).all();
  const all = [...ofStacks, ...ofSlugs.map(({ digest }) => digest)];
  return new Set(all.filter((digest) => digest !== null));
}

/** Before there were images, what ran on the machine's own software had the name that it announces. */
export function settleHostStack(database: Database, others: string[]): void {
  const known = [...others, ...listStacks(database).map(({ name }) => name)];
  const stack = hostStackName;
  database.update(apps).set({ stack }).where(notInArray(apps.stack, known)).run();
  database
    .update(slugs)
    .set({ stack })
    .where(and(isNull(slugs.stackDigest), notInArray(slugs.stack, known)))
    .run();
}
