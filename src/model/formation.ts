import { and, eq } from "drizzle-orm";
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";
import { defaultDynoSize } from "./dyno-size.ts";
import type { ProcessTypes } from "./slug.ts";

export const formations = sqliteTable(
  "formations",
  {
    appId: text()
      .notNull()
      .references(() => apps.id, { onDelete: "cascade" }),
    type: text().notNull(),
    quantity: integer().notNull(),
    size: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.appId, table.type] })],
);

export type Formation = typeof formations.$inferSelect;

export function listFormation(database: Database, app: App): Formation[] {
  return database
    .select()
    .from(formations)
    .where(eq(formations.appId, app.id))
    .orderBy(formations.type)
    .all();
}

/** The release command has a size, but is never a dyno of the formation (contract §1.1). */
export const releaseType = "release";

/**
 * What a slug's process types make of the rows: new types at 0 (web at 1 in an app without any row
 * yet), vanished ones gone. Pure.
 */
export function plannedFormation(
  app: Pick<App, "id">,
  rows: Formation[],
  processTypes: ProcessTypes,
): Formation[] {
  return Object.keys(processTypes)
    .sort()
    .map(
      (type) =>
        rows.find((row) => row.type === type) ?? {
          appId: app.id,
          type,
          quantity: type === "web" && rows.length === 0 ? 1 : 0,
          size: defaultDynoSize,
        },
    );
}

/** Puts rows in the place of an app's rows. */
export function writeFormation(database: Database, app: App, rows: Formation[]): void {
  database.transaction((transaction) => {
    transaction.delete(formations).where(eq(formations.appId, app.id)).run();
    if (rows.length > 0) transaction.insert(formations).values(rows).run();
  });
}

export function updateFormation(
  database: Database,
  row: Pick<Formation, "appId" | "type">,
  change: Partial<Pick<Formation, "quantity" | "size">>,
): void {
  database
    .update(formations)
    .set(change)
    .where(and(eq(formations.appId, row.appId), eq(formations.type, row.type)))
    .run();
}
