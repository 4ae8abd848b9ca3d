import { and, eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";
import { releases } from "./release.ts";

export const dynoStates = ["starting", "up", "crashed", "down"] as const;
export type DynoState = (typeof dynoStates)[number];

/** A dyno of the formation, or a one-off: left alone, or hanging on a client of this server. */
export const dynoKinds = ["formation", "detached", "attached"] as const;

/** A dyno's row is written before its container is made: what the kernel has and no row names is left over. */
export const dynos = sqliteTable("dynos", {
  id: text().primaryKey(),
  appId: text()
    .notNull()
    .references(() => apps.id, { onDelete: "cascade" }),
  releaseId: text()
    .notNull()
    .references(() => releases.id, { onDelete: "cascade" }),
  kind: text({ enum: dynoKinds }).notNull().default("formation"),
  /** Process type; `run` or what its caller says for a one-off; `release` for a release command. */
  type: text().notNull(),
  number: integer().notNull(),
  command: text().notNull(),
  size: text().notNull(),
  state: text({ enum: dynoStates }).notNull(),
  port: integer().notNull(),
  /** Whether a newer release has taken its place: it serves its last requests and goes. */
  leaving: integer({ mode: "boolean" }).notNull().default(false),
  /** Crashes in a row of the dynos of this name, and when the next one is started. */
  crashes: integer().notNull().default(0),
  retryAt: integer({ mode: "timestamp_ms" }),
  /** When a one-off is ended at the latest. */
  expiresAt: integer({ mode: "timestamp_ms" }),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type Dyno = typeof dynos.$inferSelect;

/** `web.1`, as in `$DYNO` and in the log. */
export function dynoName(dyno: Pick<Dyno, "type" | "number">): string {
  return `${dyno.type}.${dyno.number}`;
}

export function createDyno(
  database: Database,
  dyno: Pick<
    Dyno,
    "appId" | "releaseId" | "kind" | "type" | "number" | "command" | "size" | "port"
  > &
    Partial<Pick<Dyno, "crashes" | "expiresAt">>,
): Dyno {
  const now = new Date();
  return database
    .insert(dynos)
    .values({ ...dyno, id: crypto.randomUUID(), state: "starting", createdAt: now, updatedAt: now })
    .returning()
    .get();
}

/** Changes the row and the given object alike. */
export function updateDyno(
  database: Database,
  dyno: Dyno,
  change: Partial<Pick<Dyno, "state" | "leaving" | "crashes" | "retryAt">>,
): void {
  const set = change.state === undefined ? change : { ...change, updatedAt: new Date() };
  Object.assign(dyno, set);
  database.update(dynos).set(set).where(eq(dynos.id, dyno.id)).run();
}

export function deleteDyno(database: Database, id: string): void {
  database.delete(dynos).where(eq(dynos.id, id)).run();
}

export function listDynos(database: Database, app?: App): Dyno[] {
  const all = database.select().from(dynos);
  return (app ? all.where(and(eq(dynos.appId, app.id))) : all).orderBy(dynos.createdAt).all();
}
