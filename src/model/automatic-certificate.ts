import { and, eq, inArray, isNull, lt, or } from "drizzle-orm";
import { blob, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Database } from "./database.ts";
import type { Vault } from "./vault.ts";

/**
 * What is known of the automatic certificate of a host. A row stays when its domain goes, as long as
 * its certificate is good: a name that comes back must not use up the authority's limits.
 */
export const automaticCertificates = sqliteTable("automatic_certificates", {
  host: text().primaryKey(),
  status: text({ enum: ["pending", "in-progress", "dns-verified", "issued", "failing"] }).notNull(),
  /** Why it is failing. */
  reason: text(),
  /** In a row. */
  failures: integer().notNull(),
  nextAttemptAt: integer({ mode: "timestamp_ms" }).notNull(),
  certificateChain: text(),
  sealedKey: blob({ mode: "buffer" }),
  /** The authority that signed it. */
  directoryUrl: text(),
  issuer: text(),
  startsAt: integer({ mode: "timestamp_ms" }),
  expiresAt: integer({ mode: "timestamp_ms" }),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

/** The account at an authority; limits and renewals hang on it. */
export const acmeAccounts = sqliteTable("acme_accounts", {
  directoryUrl: text().primaryKey(),
  url: text().notNull(),
  sealedKey: blob({ mode: "buffer" }).notNull(),
});

export type AutomaticCertificateRow = typeof automaticCertificates.$inferSelect;

export function listAutomaticCertificates(database: Database): AutomaticCertificateRow[] {
  return database.select().from(automaticCertificates).all();
}

export function lookUpAutomaticCertificate(
  database: Database,
  host: string,
): AutomaticCertificateRow | undefined {
  return database
    .select()
    .from(automaticCertificates)
    .where(eq(automaticCertificates.host, host))
    .get();
}

export function saveAutomaticCertificate(
  database: Database,
  row: Omit<AutomaticCertificateRow, "updatedAt">,
): void {
  const set = { ...row, updatedAt: new Date() };
  database
    .insert(automaticCertificates)
    .values(set)
    .onConflictDoUpdate({ target: automaticCertificates.host, set })
    .run();
}

/** These are seen to at the next pass, however often they have failed. */
export function retryAutomaticCertificates(database: Database, hosts: string[]): void {
  database
    .update(automaticCertificates)
    .set({ nextAttemptAt: new Date(0), failures: 0 })
    .where(
      and(inArray(automaticCertificates.host, hosts), eq(automaticCertificates.status, "failing")),
    )
    .run();
}

/** Of hosts that nobody wants any more: those without a certificate that is still good. */
export function forgetAutomaticCertificates(
  database: Database,
  { wanted, now }: { wanted: ReadonlyMap<string, unknown>; now: Date },
): void {
  const useless = database
    .select({ host: automaticCertificates.host })
    .from(automaticCertificates)
    .where(or(isNull(automaticCertificates.expiresAt), lt(automaticCertificates.expiresAt, now)))
    .all()
    .filter(({ host }) => !wanted.has(host));
  for (const { host } of useless)
    database.delete(automaticCertificates).where(eq(automaticCertificates.host, host)).run();
}

export function lookUpAcmeAccount(
  database: Database,
  vault: Vault,
  directoryUrl: string,
): { directoryUrl: string; url: string; privateKey: string } | undefined {
  const row = database
    .select()
    .from(acmeAccounts)
    .where(eq(acmeAccounts.directoryUrl, directoryUrl))
    .get();
  if (!row) return undefined;
  return { directoryUrl, url: row.url, privateKey: vault.open(row.sealedKey).privateKey ?? "" };
}

export function saveAcmeAccount(
  database: Database,
  vault: Vault,
  { directoryUrl, url, privateKey }: { directoryUrl: string; url: string; privateKey: string },
): void {
  const set = { directoryUrl, url, sealedKey: Buffer.from(vault.seal({ privateKey })) };
  database
    .insert(acmeAccounts)
    .values(set)
    .onConflictDoUpdate({ target: acmeAccounts.directoryUrl, set })
    .run();
}
