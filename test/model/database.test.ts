import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAccount, firstAccount } from "../../src/model/account.ts";
import { closeDatabase, openDatabase } from "../../src/model/database.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stator-database-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The project's migrations and one more, as a later version of the binary would bring. */
async function laterMigrations(name: string, sql: string): Promise<string> {
  const later = join(folder, name);
  cpSync(join(import.meta.dir, "../../migrations"), later, { recursive: true });
  const journalPath = join(later, "meta/_journal.json");
  const journal = (await Bun.file(journalPath).json()) as {
    entries: { idx: number; when: number }[];
  };
  const last = journal.entries.at(-1) as { idx: number; when: number };
  journal.entries.push({
    ...last,
    idx: last.idx + 1,
    when: last.when + 1,
    tag: "9999_later",
  } as never);
  writeFileSync(journalPath, JSON.stringify(journal));
  writeFileSync(join(later, "9999_later.sql"), sql);
  return later;
}

function openWithAccount(name: string): string {
  const path = join(folder, name);
  const database = openDatabase(path);
  createAccount(database, "owner@example.org");
  closeDatabase(database);
  return path;
}

test("a new version's migrations are applied after a copy of the store was put aside", async () => {
  const path = openWithAccount("one.db");
  const later = await laterMigrations("later-1", "ALTER TABLE apps ADD COLUMN colour text;");
  const database = openDatabase(path, later);
  expect(database.$client.query("SELECT colour FROM apps").all()).toEqual([]);
  closeDatabase(database);
  const known = readdirSync(join(import.meta.dir, "../../migrations")).filter((name) =>
    name.endsWith(".sql"),
  ).length;
  const copy = new Sqlite(join(folder, `one.db.before-migration-${known}`));
  expect(copy.query("SELECT email FROM accounts").all()).toEqual([{ email: "owner@example.org" }]);
  expect(() => copy.query("SELECT colour FROM apps").all()).toThrow("no such column");
  copy.close();
});

test("a migration that fails half-way changes nothing", async () => {
  const path = openWithAccount("two.db");
  const later = await laterMigrations(
    "later-2",
    "CREATE TABLE half (id text);--> statement-breakpoint\nINSERT INTO nowhere VALUES (1);",
  );
  expect(() => openDatabase(path, later)).toThrow();
  const database = openDatabase(path);
  expect(firstAccount(database)?.email).toBe("owner@example.org");
  expect(() => database.$client.query("SELECT * FROM half").all()).toThrow("no such table");
  closeDatabase(database);
});

test("a start without anything new puts no copy aside", () => {
  const path = openWithAccount("three.db");
  closeDatabase(openDatabase(path));
  expect(readdirSync(folder).filter((name) => name.startsWith("three.db.before"))).toEqual([]);
});

test("the store is its owner's alone, and an acknowledged write is on disk", () => {
  const path = openWithAccount("four.db");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const database = openDatabase(path);
  expect(database.$client.query("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
  expect(database.$client.query("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  expect(database.$client.query("PRAGMA foreign_keys").get()).toEqual({ foreign_keys: 1 });
  expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
  closeDatabase(database);
});
