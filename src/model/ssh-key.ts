import { createHash } from "node:crypto";
import { and, eq, or } from "drizzle-orm";
import { integer, sqliteTable, text, unique } from "drizzle-orm/sqlite-core";
import { PlatformError } from "../lib/platform-error.ts";
import { type Account, accounts } from "./account.ts";
import type { Database } from "./database.ts";

export const sshKeys = sqliteTable(
  "ssh_keys",
  {
    id: text().primaryKey(),
    accountId: text()
      .notNull()
      .references(() => accounts.id, { onDelete: "cascade" }),
    publicKey: text().notNull(),
    /** `SHA256:…`, as ssh-keygen shows it. */
    fingerprint: text().notNull(),
    comment: text().notNull(),
    createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  },
  (table) => [unique().on(table.accountId, table.fingerprint)],
);

export type SshKey = typeof sshKeys.$inferSelect;

const keyTypes =
  /^(?:ssh-(?:rsa|ed25519)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)$/;

/** Reads a line of an `id_….pub`; throws what is wrong with it. Pure. */
export function parsePublicKey(
  text: string,
): Pick<SshKey, "publicKey" | "fingerprint" | "comment"> {
  const [, type = "", data = "", comment = ""] =
    /^(\S+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+([^\r\n]*))?\s*$/.exec(text.trim()) ?? [];
  const bytes = Buffer.from(data, "base64");
  // The data begin with the name of their type, after its length (RFC 4253 §6.6).
  const named = bytes.length > 4 ? bytes.subarray(4, 4 + bytes.readUInt32BE(0)).toString() : "";
  if (!keyTypes.test(type) || named !== type)
    throw new PlatformError(
      "invalid_params",
      "public_key: is not an SSH public key. Send the line in ~/.ssh/id_ed25519.pub, or make one: ssh-keygen -t ed25519",
    );
  const digest = createHash("sha256").update(bytes).digest("base64").replace(/=+$/, "");
  return {
    publicKey: `${type} ${data}${comment === "" ? "" : ` ${comment}`}`,
    fingerprint: `SHA256:${digest}`,
    comment,
  };
}

export function listSshKeys(database: Database, account: Account): SshKey[] {
  return database
    .select()
    .from(sshKeys)
    .where(eq(sshKeys.accountId, account.id))
    .orderBy(sshKeys.createdAt)
    .all();
}

/** One of an account's keys by its id or fingerprint. */
export function lookUpSshKey(
  database: Database,
  account: Account,
  idOrFingerprint: string,
): SshKey | undefined {
  return database
    .select()
    .from(sshKeys)
    .where(
      and(
        eq(sshKeys.accountId, account.id),
        or(eq(sshKeys.id, idOrFingerprint), eq(sshKeys.fingerprint, idOrFingerprint)),
      ),
    )
    .get();
}

export function createSshKey(database: Database, account: Account, text: string): SshKey {
  const key = parsePublicKey(text);
  if (lookUpSshKey(database, account, key.fingerprint))
    throw new PlatformError("invalid_params", `public_key: ${key.fingerprint} is already there.`);
  return database
    .insert(sshKeys)
    .values({ ...key, id: crypto.randomUUID(), accountId: account.id, createdAt: new Date() })
    .returning()
    .get();
}

export function deleteSshKey(database: Database, { id }: SshKey): void {
  database.delete(sshKeys).where(eq(sshKeys.id, id)).run();
}
