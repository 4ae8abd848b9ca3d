import { randomInt } from "node:crypto";
import { eq, or, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { PlatformError } from "../lib/platform-error.ts";
import { type Account, accounts } from "./account.ts";
import { type Database, prepared } from "./database.ts";

export const apps = sqliteTable("apps", {
  id: text().primaryKey(),
  name: text().notNull().unique(),
  ownerId: text()
    .notNull()
    .references(() => accounts.id),
  /** Which range of 65,536 user ids of the host is the app's own; never given to another app. */
  idRange: integer().notNull().unique(),
  stack: text().notNull(),
  /** The name of Heroku's under which its owner knows the stack `host`; `null`: `host`. */
  stackAlias: text(),
  /** What its owner calls the only region that there is. */
  region: text().notNull().default("local"),
  maintenance: integer({ mode: "boolean" }).notNull().default(false),
  /** Features that are not at their default (model/feature.ts). */
  features: text({ mode: "json" }).$type<Record<string, boolean>>().notNull().default({}),
  /** After so long without a request its dynos are put to sleep; `null`: as its size says. */
  sleepAfterMs: integer(),
  /** Its formation is stopped until the next request. */
  asleep: integer({ mode: "boolean" }).notNull().default(false),
  /** Its domains get certificates by themselves, where the server has an authority for them. */
  acm: integer({ mode: "boolean" }).notNull().default(true),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

/** Heroku's name of the stack whose apps run on container images. */
export const containerStack = "container";

/**
 * Ranges of user ids that were ever given. Rows stay when their app goes, so that no app inherits
 * another one's files.
 */
export const idRanges = sqliteTable("id_ranges", {
  id: integer().primaryKey({ autoIncrement: true }),
});

export type App = typeof apps.$inferSelect;

const namePattern = /^[a-z][a-z0-9-]{1,28}[a-z0-9]$/;
/** Hosts of the platform itself. */
const reservedNames = new Set(["api", "git", "www", "dashboard", "stator"]);

export function listApps(database: Database): App[] {
  return database.select().from(apps).orderBy(apps.name).all();
}

export function findApp(database: Database, idOrName: string): App {
  const app = lookUpApp(database, idOrName);
  if (!app) throw noSuchApp(idOrName);
  return app;
}

/** What a stranger to an app is told too. */
export function noSuchApp(idOrName: string): PlatformError {
  const message = `Couldn't find that app: ${quoted(idOrName)}.`;
  return new PlatformError("not_found", message, { resource: "app" });
}

export function lookUpApp(database: Database, idOrName: string): App | undefined {
  return byIdOrName(database).get({ idOrName });
}

const byIdOrName = prepared((database) => {
  const idOrName = sql.placeholder("idOrName");
  return database
    .select()
    .from(apps)
    .where(or(eq(apps.id, idOrName), eq(apps.name, idOrName)))
    .prepare();
});

/** What an app is for, and where it is said to be. */
export interface AppPlace extends Pick<App, "stack"> {
  stackAlias?: string | null;
  region?: string | undefined;
}

/** Creates an app; without a name it gets one like Heroku's, `adjective-noun-12345`. */
export function createApp(
  database: Database,
  { name, owner, ...where }: { name?: string | undefined; owner: Account } & AppPlace,
): App {
  const chosen = name ?? freeName(database);
  checkName(database, chosen);
  const now = new Date();
  return database
    .insert(apps)
    .values({
      id: crypto.randomUUID(),
      name: chosen,
      ownerId: owner.id,
      idRange: nextIdRange(database),
      ...where,
      createdAt: now,
      updatedAt: now,
    })
    .returning()
    .get();
}

export function updateApp(
  database: Database,
  app: App,
  change: Partial<
    Pick<
      App,
      | "name"
      | "maintenance"
      | "features"
      | "sleepAfterMs"
      | "asleep"
      | "acm"
      | "stack"
      | "stackAlias"
    >
  >,
): App {
  if (change.name !== undefined && change.name !== app.name) checkName(database, change.name);
  return database
    .update(apps)
    .set({ ...change, updatedAt: new Date() })
    .where(eq(apps.id, app.id))
    .returning()
    .get();
}

export function deleteApp(database: Database, app: App): void {
  database.delete(apps).where(eq(apps.id, app.id)).run();
}

function checkName(database: Database, name: string): void {
  if (!namePattern.test(name))
    throw new PlatformError(
      "invalid_params",
      `Name must start with a letter, end with a letter or digit and can only contain lowercase letters, digits, and dashes (3 to 30 of them): ${quoted(name)}.`,
    );
  if (reservedNames.has(name) || lookUpApp(database, name))
    throw new PlatformError("invalid_params", `Name ${name} is already taken`);
}

function nextIdRange(database: Database): number {
  return database.insert(idRanges).values({}).returning().get().id;
}

const adjectives =
  "amber ancient autumn bold brave bright calm clear cool crisp dark deep early fair fast fierce gentle glad golden grand green hidden icy keen kind late light little lively lucky mellow mighty misty morning nimble noble pale plain polar proud quick quiet rapid rough round royal sharp shy silent silver sleepy small smooth snowy soft solid spring steady still stormy summer sunny swift tall vast warm wild winter wise young".split(
    " ",
  );
const nouns =
  "badger bay beach bird bridge brook canyon cedar cliff cloud coast comet coral cove creek dawn delta dune eagle ember falcon fern field finch fjord fog forest garden glacier grove harbor hawk heron hill island lake lark leaf lynx maple marsh meadow mesa moon moss mountain ocean orchard otter peak pebble pine plain pond prairie rain reef ridge river sea shore sky snow spark star stone stream sun thunder tide trail tree valley wave willow wind wolf wood".split(
    " ",
  );

function freeName(database: Database): string {
  for (;;) {
    const name = `${pick(adjectives)}-${pick(nouns)}-${randomInt(10_000, 100_000)}`;
    if (!lookUpApp(database, name)) return name;
  }
}

function pick(words: string[]): string {
  return words[randomInt(words.length)] as string;
}

function quoted(value: string): string {
  return JSON.stringify(value.slice(0, 80));
}
