import { eq } from "drizzle-orm";
import { blob, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { PlatformError } from "../lib/platform-error.ts";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";
import type { Vault } from "./vault.ts";

export type ConfigVars = Record<string, string>;

export const configVars = sqliteTable("config_vars", {
  appId: text()
    .primaryKey()
    .references(() => apps.id, { onDelete: "cascade" }),
  sealed: blob({ mode: "buffer" }).notNull(),
});

const keyPattern = /^[A-Za-z_][A-Za-z0-9_]*$/;
const maxBytes = 64 * 1024;

export function readConfigVars(database: Database, vault: Vault, app: App): ConfigVars {
  const row = database.select().from(configVars).where(eq(configVars.appId, app.id)).get();
  return row ? vault.open(row.sealed) : {};
}

export function writeConfigVars(
  database: Database,
  vault: Vault,
  { app, vars }: { app: App; vars: ConfigVars },
): void {
  const sealed = Buffer.from(vault.seal(vars));
  database
    .insert(configVars)
    .values({ appId: app.id, sealed })
    .onConflictDoUpdate({ target: configVars.appId, set: { sealed } })
    .run();
}

/** Applies a change as the API means it: `null` removes a key (contract §6.2). Pure. */
export function changedConfigVars(
  before: ConfigVars,
  change: Record<string, string | null>,
): ConfigVars {
  const after = { ...before };
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete after[key];
    else {
      checkVar(key, value);
      after[key] = value;
    }
  }
  const size = Object.entries(after).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  if (size > maxBytes)
    throw new PlatformError(
      "invalid_params",
      `Config vars may have 64 kB in all, these have ${size} bytes. Put large values into a file or a store.`,
    );
  return after;
}

function checkVar(key: string, value: string): void {
  if (!keyPattern.test(key) || key.startsWith("__") || key.startsWith("HEROKU_"))
    throw new PlatformError(
      "invalid_params",
      `Cannot set config var ${JSON.stringify(key.slice(0, 80))}: a name has letters, digits and underscores, does not start with a digit, and not with __ or HEROKU_.`,
    );
  if (value.includes("\0"))
    throw new PlatformError("invalid_params", `The value of ${key} has a NUL byte.`);
}
