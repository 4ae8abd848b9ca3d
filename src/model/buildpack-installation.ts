import { asc, eq } from "drizzle-orm";
import { blob, integer, sqliteTable, text, unique } from "drizzle-orm/sqlite-core";
import { PlatformError } from "../lib/platform-error.ts";
import { type App, apps } from "./app.ts";
import { type BuildpackName, readBuildpackName } from "./buildpack-source.ts";
import type { Database } from "./database.ts";
import type { Vault } from "./vault.ts";

/** The buildpacks of an app in their order; none until somebody sets them or the first build finds one. */
export const buildpackInstallations = sqliteTable(
  "buildpack_installations",
  {
    id: text().primaryKey(),
    appId: text()
      .notNull()
      .references(() => apps.id, { onDelete: "cascade" }),
    ordinal: integer().notNull(),
    /** Its name or address, without secrets. */
    buildpack: text().notNull(),
    /** What was taken out of its address. */
    sealedSecrets: blob({ mode: "buffer" }),
  },
  (table) => [unique().on(table.appId, table.ordinal)],
);

const maxBuildpacks = 32;

/** In their order; without their secrets. */
export function listBuildpacks(database: Database, app: App): string[] {
  return rows(database, app).map(({ buildpack }) => buildpack);
}

/** In their order, with what a build needs to fetch them. */
export function readBuildpacks(database: Database, vault: Vault, app: App): BuildpackName[] {
  return rows(database, app).map(({ buildpack, sealedSecrets }) => ({
    text: buildpack,
    secrets: sealedSecrets && (vault.open(sealedSecrets).secrets ?? null),
  }));
}

/**
 * Takes the place of all that were set. A name that is given without its secrets, as the API shows it,
 * keeps those that it had.
 */
export function setBuildpacks(
  database: Database,
  vault: Vault,
  { app, buildpacks }: { app: App; buildpacks: string[] },
): void {
  const before = readBuildpacks(database, vault, app);
  const names = buildpacks.map(readBuildpackName).map(({ text, secrets }) => ({
    text,
    secrets: secrets ?? before.find((one) => one.text === text)?.secrets ?? null,
  }));
  if (names.length > maxBuildpacks)
    throw new PlatformError("invalid_params", `An app has at most ${maxBuildpacks} buildpacks.`);
  const twice = names.find(({ text }, index) =>
    names.some((one, at) => at < index && one.text === text),
  );
  if (twice)
    throw new PlatformError(
      "invalid_params",
      `The buildpack ${twice.text} is already set on your app.`,
    );
  database.transaction((transaction) => {
    transaction
      .delete(buildpackInstallations)
      .where(eq(buildpackInstallations.appId, app.id))
      .run();
    names.forEach(({ text, secrets }, ordinal) => {
      const sealedSecrets = secrets === null ? null : Buffer.from(vault.seal({ secrets }));
      transaction
        .insert(buildpackInstallations)
        .values({
          ...{ id: crypto.randomUUID(), appId: app.id },
          ...{ ordinal, buildpack: text, sealedSecrets },
        })
        .run();
    });
  });
}

function rows(database: Database, app: App) {
  return database
    .select()
    .from(buildpackInstallations)
    .where(eq(buildpackInstallations.appId, app.id))
    .orderBy(asc(buildpackInstallations.ordinal))
    .all();
}
