import { and, eq } from "drizzle-orm";
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";
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

/**
 * Brings the rows to what a slug declares: new types at 0 (web at 1 in an app without any row yet),
 * vanished ones removed. `release` is never a dyno of the formation (contract §1.1).
 */
export function reconcileFormation(database: Database, app: App, processTypes: ProcessTypes): void {
  const rows = listFormation(database, app);
  const wanted = Object.keys(processTypes).filter((type) => type !== "release");
  for (const row of rows)
    if (!wanted.includes(row.type))
      database
        .delete(formations)
        .where(and(eq(formations.appId, app.id), eq(formations.type, row.type)))
        .run();
  for (const type of wanted)
    if (!rows.some((row) => row.type === type))
      database
        .insert(formations)
        .values({
          appId: app.id,
          type,
          quantity: type === "web" && rows.length === 0 ? 1 : 0,
          size: "Basic",
        })
        .run();
}
