import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { noRoutes, readRoutes, type Routes } from "./route-table.ts";

/** The table in force, and on disk, so that a router that starts alone serves at once. */
export interface RouteStore {
  readonly current: Routes;
  /** What of the table could not be used, a sentence each. */
  readonly setAside: readonly string[];
  load(): Promise<void>;
  /** Puts a table on disk, then in force; throws when it is none at all. */
  replace(value: unknown): Promise<void>;
  /** Calls back at the next change, once; returns how to call that off. */
  onChange(listener: () => void): () => void;
}

/** A store over DIR/routes.json; `prepare` readies what a table refers to, and says what it could not. */
export function createRouteStore(
  dir: string,
  prepare: (routes: Routes) => Promise<string[]>,
): RouteStore {
  const path = join(dir, "routes.json");
  const listeners = new Set<() => void>();
  let current = noRoutes;
  let setAside: string[] = [];
  let replacing: Promise<void> = Promise.resolve();

  async function putInForce(value: unknown, persist: () => Promise<void>): Promise<void> {
    const read = readRoutes(value);
    await persist();
    setAside = [...read.setAside, ...(await prepare(read.routes))];
    current = read.routes;
    const called = [...listeners];
    listeners.clear();
    for (const listener of called) listener();
  }

  async function loadFromDisk(): Promise<void> {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text === undefined) return;
    try {
      await putInForce(JSON.parse(text), async () => {});
    } catch (error) {
      // The server puts a whole table as soon as it sees this router; until then there is none.
      setAside = [`routes.json: ${String(error)}`];
    }
  }

  return {
    get current() {
      return current;
    },
    get setAside() {
      return setAside;
    },
    load() {
      replacing = replacing.then(loadFromDisk);
      return replacing;
    },
    replace(value) {
      // One after another, so that what is on disk is what is in force.
      const result = replacing.then(() =>
        putInForce(value, () => writeWhole(path, JSON.stringify(value))),
      );
      replacing = result.catch(() => {});
      return result;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Writes a file so that it is whole or not there at all, whenever the power goes. */
async function writeWhole(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}
