import { Database as Sqlite } from "bun:sqlite";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { migrate } from "drizzle-orm/bun-sqlite/migrator";
import { closeSync, existsSync, openSync } from "node:fs";
import { embeddedFolder } from "../lib/embedded.ts";

export type Database = ReturnType<typeof openDatabase>;

/**
 * Opens the store and brings it to the newest schema in one transaction, after a copy of the old
 * one was put beside it. `synchronous = FULL`: what was acknowledged survives a power cut.
 */
export function openDatabase(path: string, migrationsFolder = embeddedFolder("migrations")) {
  // SQLite gives its other files the mode of this one.
  if (path !== ":memory:") closeSync(openSync(path, "a", 0o600));
  const sqlite = new Sqlite(path, { create: true, strict: true });
  sqlite.run("PRAGMA journal_mode = WAL");
  sqlite.run("PRAGMA synchronous = FULL");
  sqlite.run("PRAGMA foreign_keys = ON");
  sqlite.run("PRAGMA busy_timeout = 5000");
  const database = drizzle(sqlite);
  const applied = appliedMigrations(sqlite);
  if (applied > 0 && readMigrationFiles({ migrationsFolder }).length > applied)
    putCopyAside(sqlite, `${path}.before-migration-${applied}`);
  migrate(database, { migrationsFolder });
  return database;
}

/**
 * A query that is made once for each database, for those of every request: making one costs more than
 * running it. What differs is an `sql.placeholder`.
 */
export function prepared<Query>(
  make: (database: Database) => Query,
): (database: Database) => Query {
  const made = new WeakMap<Database, Query>();
  return (database) => {
    const query = made.get(database) ?? make(database);
    made.set(database, query);
    return query;
  };
}

function appliedMigrations(sqlite: Sqlite): number {
  const table = sqlite
    .query("SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'")
    .get();
  if (!table) return 0;
  const row = sqlite.query("SELECT count(*) AS n FROM __drizzle_migrations").get() as { n: number };
  return row.n;
}

function putCopyAside(sqlite: Sqlite, copyPath: string): void {
  if (!existsSync(copyPath)) sqlite.query("VACUUM INTO ?").run(copyPath);
}

export function closeDatabase(database: Database): void {
  database.$client.close();
}
