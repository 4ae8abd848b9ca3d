import { eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Database } from "./database.ts";

export const accounts = sqliteTable("accounts", {
  id: text().primaryKey(),
  email: text().notNull().unique(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type Account = typeof accounts.$inferSelect;

export function firstAccount(database: Database): Account | undefined {
  return database.select().from(accounts).orderBy(accounts.createdAt).limit(1).get();
}

export function findAccount(database: Database, id: string): Account | undefined {
  return database.select().from(accounts).where(eq(accounts.id, id)).get();
}

export function createAccount(database: Database, email: string): Account {
  return database
    .insert(accounts)
    .values({ id: crypto.randomUUID(), email, createdAt: new Date() })
    .returning()
    .get();
}
