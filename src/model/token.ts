import { createHash, randomBytes } from "node:crypto";
import { eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type Account, accounts } from "./account.ts";
import type { Database } from "./database.ts";

/** Only the SHA-256 of a token is stored: a stolen database opens nothing. */
export const tokens = sqliteTable("tokens", {
  id: text().primaryKey(),
  accountId: text()
    .notNull()
    .references(() => accounts.id, { onDelete: "cascade" }),
  description: text().notNull(),
  sha256: text().notNull().unique(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
});

/** Makes a token (256 random bits, prefix `STTR-`) and returns the only copy of its text. */
export function createToken(
  database: Database,
  { account, description }: { account: Account; description: string },
): string {
  const secret = `STTR-${randomBytes(32).toString("base64url")}`;
  database
    .insert(tokens)
    .values({
      id: crypto.randomUUID(),
      accountId: account.id,
      description,
      sha256: sha256(secret),
      createdAt: new Date(),
    })
    .run();
  return secret;
}

/** The account that a token belongs to; nothing for a token that we did not make. */
export function accountOfToken(database: Database, secret: string): Account | undefined {
  return database
    .select({ account: accounts })
    .from(tokens)
    .innerJoin(accounts, eq(tokens.accountId, accounts.id))
    .where(eq(tokens.sha256, sha256(secret)))
    .get()?.account;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
