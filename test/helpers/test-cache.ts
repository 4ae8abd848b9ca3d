import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./stator-server.ts";

/** What tests have fetched or made, and need again; safe to remove. */
export const testCache = join(repositoryRoot, "node_modules/.cache/stator-tests");

/** A folder of the cache, filled by `fill` when it is not there yet: whole, or not at all. */
export async function cachedFolder(
  name: string,
  fill: (folder: string) => Promise<unknown>,
): Promise<string> {
  const folder = join(testCache, name);
  if (existsSync(folder)) return folder;
  mkdirSync(testCache, { recursive: true });
  const work = mkdtempSync(join(testCache, "filling-"));
  await fill(work);
  try {
    renameSync(work, folder);
  } catch {
    // Another file of tests was quicker.
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}
