import { and, desc, eq, or } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type Account, accounts } from "./account.ts";
import { type App, apps } from "./app.ts";
import { collaborators } from "./collaborator.ts";
import type { Database } from "./database.ts";

export const transferStates = ["pending", "accepted", "declined"] as const;

/** An owner's offer of an app; it is the recipient's once he has accepted. */
export const appTransfers = sqliteTable("app_transfers", {
  id: text().primaryKey(),
  appId: text()
    .notNull()
    .references(() => apps.id, { onDelete: "cascade" }),
  ownerId: text()
    .notNull()
    .references(() => accounts.id, { onDelete: "cascade" }),
  recipientId: text()
    .notNull()
    .references(() => accounts.id, { onDelete: "cascade" }),
  state: text({ enum: transferStates }).notNull(),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type AppTransfer = typeof appTransfers.$inferSelect;

export function createAppTransfer(
  database: Database,
  { app, recipient }: { app: App; recipient: Account },
): AppTransfer {
  const now = new Date();
  return database
    .insert(appTransfers)
    .values({
      ...{ id: crypto.randomUUID(), appId: app.id, ownerId: app.ownerId },
      ...{ recipientId: recipient.id, state: "pending", createdAt: now, updatedAt: now },
    })
    .returning()
    .get();
}

/** Those that an account has made or was made, newest first. */
export function listAppTransfers(database: Database, account: Account): AppTransfer[] {
  return database
    .select()
    .from(appTransfers)
    .where(or(eq(appTransfers.ownerId, account.id), eq(appTransfers.recipientId, account.id)))
    .orderBy(desc(appTransfers.createdAt))
    .all();
}

/** Ends an offer; an accepted one makes the recipient the owner, all or nothing. */
export function settleAppTransfer(
  database: Database,
  transfer: AppTransfer,
  state: "accepted" | "declined",
): AppTransfer {
  return database.transaction((transaction) => {
    const now = new Date();
    if (state === "accepted") {
      transaction
        .update(apps)
        .set({ ownerId: transfer.recipientId, updatedAt: now })
        .where(eq(apps.id, transfer.appId))
        .run();
      // Who owns it is no collaborator of it any more.
      transaction
        .delete(collaborators)
        .where(
          and(
            eq(collaborators.appId, transfer.appId),
            eq(collaborators.accountId, transfer.recipientId),
          ),
        )
        .run();
    }
    return transaction
      .update(appTransfers)
      .set({ state, updatedAt: now })
      .where(eq(appTransfers.id, transfer.id))
      .returning()
      .get();
  });
}

export function deleteAppTransfer(database: Database, { id }: AppTransfer): void {
  database.delete(appTransfers).where(eq(appTransfers.id, id)).run();
}
