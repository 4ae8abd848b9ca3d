import { Database as Sqlite } from "bun:sqlite";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The data folder is another server's; the message names its process. */
export class DataFolderLocked extends Error {
  override readonly name = "DataFolderLocked";
}

/**
 * Takes the data folder for this process. The kernel holds the lock (by way of SQLite's own), so it
 * is gone the moment the holder dies, however it dies.
 */
export function lockDataFolder(dataDir: string): { release(): void } {
  const pidPath = join(dataDir, "server.pid");
  const lockPath = join(dataDir, "server.lock");
  closeSync(openSync(lockPath, "a", 0o600));
  const lock = new Sqlite(lockPath, { create: true });
  try {
    lock.run("PRAGMA locking_mode = EXCLUSIVE");
    lock.run("BEGIN EXCLUSIVE");
  } catch {
    lock.close();
    const holder = readFileSync(pidPath, "utf8").trim();
    throw new DataFolderLocked(
      `${dataDir} is used by another server, process ${holder}; stop that one first or choose another --data`,
    );
  }
  writeFileSync(pidPath, `${process.pid}\n`);
  return { release: () => lock.close() };
}
