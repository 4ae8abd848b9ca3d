import { and, eq, inArray, or } from "drizzle-orm";
import { integer, sqliteTable, text, unique } from "drizzle-orm/sqlite-core";
import { type Account, accounts } from "./account.ts";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";

/** An account that may work with an app that is not its own. */
export const collaborators = sqliteTable(
  "collaborators",
  {
    id: text().primaryKey(),
    appId: text()
      .notNull()
      .references(() => apps.id, { onDelete: "cascade" }),
    accountId: text()
      .notNull()
      .references(() => accounts.id, { onDelete: "cascade" }),
    createdAt: integer({ mode: "timestamp_ms" }).notNull(),
    updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
  },
  (table) => [unique().on(table.appId, table.accountId)],
);

export type Collaborator = typeof collaborators.$inferSelect;

/** What an account is to an app; nothing for a stranger, who is not told that there is one. */
export function roleIn(
  database: Database,
  app: App,
  account: Pick<Account, "id">,
): "owner" | "collaborator" | undefined {
  if (app.ownerId === account.id) return "owner";
  return findRow(database, app, account) ? "collaborator" : undefined;
}

/** The apps that an account works with: its own and those of others. */
export function listAppsOf(database: Database, account: Pick<Account, "id">): App[] {
  const shared = database
    .select({ id: collaborators.appId })
    .from(collaborators)
    .where(eq(collaborators.accountId, account.id));
  return database
    .select()
    .from(apps)
    .where(or(eq(apps.ownerId, account.id), inArray(apps.id, shared)))
    .orderBy(apps.name)
    .all();
}

export function listCollaborators(database: Database, app: App): Collaborator[] {
  return database
    .select()
    .from(collaborators)
    .where(eq(collaborators.appId, app.id))
    .orderBy(collaborators.createdAt)
    .all();
}

/** Makes an account a collaborator; one that is one stays one. */
export function addCollaborator(database: Database, app: App, account: Account): Collaborator {
  const now = new Date();
  return (
    findRow(database, app, account) ??
    database
      .insert(collaborators)
      .values({
        ...{ id: crypto.randomUUID(), appId: app.id, accountId: account.id },
        ...{ createdAt: now, updatedAt: now },
      })
      .returning()
      .get()
  );
}

export function removeCollaborator(database: Database, app: App, accountId: string): void {
  database
    .delete(collaborators)
    .where(and(eq(collaborators.appId, app.id), eq(collaborators.accountId, accountId)))
    .run();
}

export function removeCollaborations(database: Database, account: Account): void {
  database.delete(collaborators).where(eq(collaborators.accountId, account.id)).run();
}

function findRow(
  database: Database,
  app: App,
  account: Pick<Account, "id">,
): Collaborator | undefined {
  return database
    .select()
    .from(collaborators)
    .where(and(eq(collaborators.appId, app.id), eq(collaborators.accountId, account.id)))
    .get();
}
