import { eq, lt } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { randomSecret, secretHash } from "../lib/secret.ts";
import { type Account, accounts } from "./account.ts";
import type { Database } from "./database.ts";

/** Lets whoever has its secret choose a new password, once. */
export const passwordResets = sqliteTable("password_resets", {
  id: text().primaryKey(),
  accountId: text()
    .notNull()
    .references(() => accounts.id, { onDelete: "cascade" }),
  sha256: text().notNull().unique(),
  expiresAt: integer({ mode: "timestamp_ms" }).notNull(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type PasswordReset = typeof passwordResets.$inferSelect;

/** Makes one, in the place of the account's earlier ones, and returns the only copy of its secret. */
export function createPasswordReset(
  database: Database,
  { account, lifeMs }: { account: Account; lifeMs: number },
): { reset: PasswordReset; secret: string } {
  const secret = randomSecret();
  const now = new Date();
  const reset = database.transaction((transaction) => {
    transaction.delete(passwordResets).where(eq(passwordResets.accountId, account.id)).run();
    transaction.delete(passwordResets).where(lt(passwordResets.expiresAt, now)).run();
    return transaction
      .insert(passwordResets)
      .values({
        ...{ id: crypto.randomUUID(), accountId: account.id, sha256: secretHash(secret) },
        ...{ expiresAt: new Date(now.getTime() + lifeMs), createdAt: now },
      })
      .returning()
      .get();
  });
  return { reset, secret };
}

export function openPasswordReset(database: Database, secret: string): PasswordReset | undefined {
  const found = database
    .select()
    .from(passwordResets)
    .where(eq(passwordResets.sha256, secretHash(secret)))
    .get();
  return found && found.expiresAt.getTime() > Date.now() ? found : undefined;
}

/** Takes one away; false when another has been quicker. */
export function takePasswordReset(database: Database, { id }: PasswordReset): boolean {
  return (
    database.delete(passwordResets).where(eq(passwordResets.id, id)).returning().all().length > 0
  );
}
