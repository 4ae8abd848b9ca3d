import { and, eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { randomSecret, secretHash } from "../lib/secret.ts";
import { type Account, accounts } from "./account.ts";
import type { Database } from "./database.ts";

/** A program that asks people to let it act for them. */
export const oauthClients = sqliteTable("oauth_clients", {
  id: text().primaryKey(),
  accountId: text()
    .notNull()
    .references(() => accounts.id, { onDelete: "cascade" }),
  name: text().notNull(),
  redirectUri: text().notNull(),
  secretSha256: text().notNull().unique(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type OauthClient = typeof oauthClients.$inferSelect;

/** Registers a client, and returns the only copy of its secret. */
export function createOauthClient(
  database: Database,
  { account, name, redirectUri }: { account: Account; name: string; redirectUri: string },
): { client: OauthClient; secret: string } {
  const secret = randomSecret();
  const now = new Date();
  const client = database
    .insert(oauthClients)
    .values({
      ...{ id: crypto.randomUUID(), accountId: account.id, name, redirectUri },
      ...{ secretSha256: secretHash(secret), createdAt: now, updatedAt: now },
    })
    .returning()
    .get();
  return { client, secret };
}

export function listOauthClients(database: Database, account: Account): OauthClient[] {
  return database
    .select()
    .from(oauthClients)
    .where(eq(oauthClients.accountId, account.id))
    .orderBy(oauthClients.createdAt)
    .all();
}

/** One of an account's own. */
export function lookUpOauthClient(
  database: Database,
  account: Account,
  id: string,
): OauthClient | undefined {
  return database
    .select()
    .from(oauthClients)
    .where(and(eq(oauthClients.accountId, account.id), eq(oauthClients.id, id)))
    .get();
}

/** Anyone's, as people see it when it asks them for something. */
export function findOauthClient(database: Database, id: string): OauthClient | undefined {
  return database.select().from(oauthClients).where(eq(oauthClients.id, id)).get();
}

/** The client that proves itself by its secret. */
export function openOauthClient(database: Database, secret: string): OauthClient | undefined {
  return database
    .select()
    .from(oauthClients)
    .where(eq(oauthClients.secretSha256, secretHash(secret)))
    .get();
}

export function updateOauthClient(
  database: Database,
  { id }: OauthClient,
  change: Partial<Pick<OauthClient, "name" | "redirectUri">>,
): OauthClient {
  return database
    .update(oauthClients)
    .set({ ...change, updatedAt: new Date() })
    .where(eq(oauthClients.id, id))
    .returning()
    .get();
}

/** A new secret in the place of the old one. */
export function rotateOauthClient(database: Database, { id }: OauthClient) {
  const secret = randomSecret();
  const client = database
    .update(oauthClients)
    .set({ secretSha256: secretHash(secret), updatedAt: new Date() })
    .where(eq(oauthClients.id, id))
    .returning()
    .get();
  return { client, secret };
}

/** Its authorizations have to go first. */
export function deleteOauthClient(database: Database, { id }: OauthClient): void {
  database.delete(oauthClients).where(eq(oauthClients.id, id)).run();
}
