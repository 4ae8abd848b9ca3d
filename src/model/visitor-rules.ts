import { eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";

/** A visitor's name and what is kept of the password: SHA-256 of salt, `:` and password, in hexadecimal. */
export interface VisitorPassword {
  username: string;
  salt: string;
  digest: string;
}

export interface Hsts {
  maxAgeSeconds: number;
  includeSubDomains: boolean;
  preload: boolean;
}

/** So many requests in so many seconds; `burst` may come at once. */
export interface RequestLimit {
  requests: number;
  seconds: number;
  burst: number;
}

/** Who may visit an app, and how; the router holds every request against it. */
export const visitorRules = sqliteTable("visitor_rules", {
  appId: text()
    .primaryKey()
    .references(() => apps.id, { onDelete: "cascade" }),
  /** None: nobody is asked for a password. */
  passwords: text({ mode: "json" }).$type<VisitorPassword[]>().notNull(),
  /** Addresses and ranges of them; `null`: from everywhere. */
  allowedAddresses: text({ mode: "json" }).$type<string[]>(),
  httpsRedirect: integer({ mode: "boolean" }).notNull(),
  hsts: text({ mode: "json" }).$type<Hsts>(),
  /** Of all visitors together. */
  appLimit: text({ mode: "json" }).$type<RequestLimit>(),
  /** Of each address. */
  clientLimit: text({ mode: "json" }).$type<RequestLimit>(),
});

export type VisitorRules = Omit<typeof visitorRules.$inferSelect, "appId">;

/** Everybody, over HTTP and HTTPS, as often as they like. */
const noRules: VisitorRules = {
  ...{ passwords: [], allowedAddresses: null, httpsRedirect: false },
  ...{ hsts: null, appLimit: null, clientLimit: null },
};

export function readVisitorRules(database: Database, app: App): VisitorRules {
  const row = database.select().from(visitorRules).where(eq(visitorRules.appId, app.id)).get();
  if (!row) return noRules;
  const { appId: _, ...rules } = row;
  return rules;
}

export function writeVisitorRules(database: Database, app: App, rules: VisitorRules): void {
  database
    .insert(visitorRules)
    .values({ appId: app.id, ...rules })
    .onConflictDoUpdate({ target: visitorRules.appId, set: rules })
    .run();
}
