import { and, eq, isNull, or, sql } from "drizzle-orm";
import { blob, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { PlatformError } from "../lib/platform-error.ts";
import { type Database, prepared } from "./database.ts";

export const accounts = sqliteTable("accounts", {
  id: text().primaryKey(),
  email: text().notNull().unique(),
  name: text(),
  /** Argon2id; without one nobody logs in by password. */
  passwordHash: text(),
  /** The secret of its one-time codes, sealed; it counts from `secondFactorAt` on. */
  sealedCodeSecret: blob({ mode: "buffer" }),
  secondFactorAt: integer({ mode: "timestamp_ms" }),
  /** The last step whose code was used: a code opens once. */
  lastCodeStep: integer().notNull().default(0),
  /** SHA-256 of the codes that stand in for a lost second factor; each opens once. */
  recoveryCodes: text({ mode: "json" }).$type<string[]>().notNull().default([]),
  /** What clients keep with the account: switches of theirs, and preferences. */
  allowTracking: integer({ mode: "boolean" }).notNull().default(false),
  beta: integer({ mode: "boolean" }).notNull().default(false),
  preferences: text({ mode: "json" }).$type<Record<string, unknown>>().notNull().default({}),
  lastLoginAt: integer({ mode: "timestamp_ms" }),
  /** Its owner has deleted it; what it did in other people's apps keeps its name. */
  closedAt: integer({ mode: "timestamp_ms" }),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }),
});

export type Account = typeof accounts.$inferSelect;

/** The one who runs the server: the account that its first start made. */
export function firstAccount(database: Database): Account | undefined {
  return database.select().from(accounts).orderBy(accounts.createdAt).limit(1).get();
}

export function findAccount(database: Database, id: string): Account | undefined {
  return byId(database).get({ id });
}

const byId = prepared((database) =>
  database
    .select()
    .from(accounts)
    .where(eq(accounts.id, sql.placeholder("id")))
    .prepare(),
);

/** An open account by its id or its email address, whose case does not matter. */
export function lookUpAccount(database: Database, idOrEmail: string): Account | undefined {
  return database
    .select()
    .from(accounts)
    .where(
      and(
        isNull(accounts.closedAt),
        or(eq(accounts.id, idOrEmail), eq(sql`lower(${accounts.email})`, idOrEmail.toLowerCase())),
      ),
    )
    .get();
}

export function createAccount(database: Database, email: string): Account {
  if (lookUpAccount(database, email))
    throw new PlatformError("invalid_params", `Email address ${email} is already in use.`);
  const now = new Date();
  return database
    .insert(accounts)
    .values({ id: crypto.randomUUID(), email, createdAt: now, updatedAt: now })
    .returning()
    .get();
}

export function updateAccount(
  database: Database,
  { id }: Pick<Account, "id">,
  change: Partial<Omit<Account, "id" | "createdAt">>,
): Account {
  return database
    .update(accounts)
    .set({ ...change, updatedAt: new Date() })
    .where(eq(accounts.id, id))
    .returning()
    .get();
}

/** Shuts an account for good. Its row stays: releases and builds tell who made them. */
export function closeAccount(database: Database, account: Account): void {
  updateAccount(database, account, {
    email: `closed-${account.id}@example.invalid`,
    name: null,
    passwordHash: null,
    sealedCodeSecret: null,
    secondFactorAt: null,
    recoveryCodes: [],
    preferences: {},
    closedAt: new Date(),
  });
}
