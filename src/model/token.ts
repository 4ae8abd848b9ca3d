import { and, eq, lt, ne, or, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { isSameSecret, randomSecret, secretHash } from "../lib/secret.ts";
import { type Account, accounts } from "./account.ts";
import { type Database, prepared } from "./database.ts";
import { oauthClients } from "./oauth-client.ts";

/** What a token may do (contract §9.6). `protected` is what tells secrets: config vars, releases. */
export const scopes = [
  "global",
  "identity",
  "read",
  "write",
  "read-protected",
  "write-protected",
] as const;
export type Scope = (typeof scopes)[number];

/**
 * An authorization, in Heroku's words: that a program may act for an account, with the secrets that
 * prove it. Of a secret only its SHA-256 is stored: a stolen database opens nothing.
 */
export const tokens = sqliteTable("tokens", {
  id: text().primaryKey(),
  accountId: text()
    .notNull()
    .references(() => accounts.id, { onDelete: "cascade" }),
  description: text().notNull(),
  sha256: text().notNull().unique(),
  /** The first letters of the secret, to tell one from another. */
  hint: text(),
  scope: text({ mode: "json" }).$type<Scope[]>().notNull().default(["global"]),
  /** Made by a login, so that a logout ends it. */
  isSession: integer({ mode: "boolean" }).notNull().default(false),
  clientId: text().references(() => oauthClients.id),
  /** What a client gets a new secret for. */
  refreshSha256: text().unique(),
  /** The code that a client gets its first secrets for, once, and until then. */
  grantSha256: text().unique(),
  grantExpiresAt: integer({ mode: "timestamp_ms" }),
  expiresAt: integer({ mode: "timestamp_ms" }),
  lastUsedAt: integer({ mode: "timestamp_ms" }),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }),
});

export type Token = typeof tokens.$inferSelect;

export interface NewToken {
  account: Pick<Account, "id">;
  description: string;
  scope?: Scope[] | undefined;
  expiresAt?: Date | null | undefined;
  isSession?: boolean | undefined;
}

/** Makes a token (256 random bits, prefix `STTR-`) and returns the only copy of its text. */
export function createToken(database: Database, options: NewToken): string {
  return issueToken(database, options).secret;
}

export function issueToken(
  database: Database,
  { account, description, scope, expiresAt, isSession }: NewToken,
): { token: Token; secret: string } {
  sweepTokens(database);
  const secret = newSecret();
  const now = new Date();
  const token = database
    .insert(tokens)
    .values({
      ...{ id: crypto.randomUUID(), accountId: account.id, description },
      ...{ sha256: secretHash(secret), hint: hintOf(secret) },
      ...{ scope: scope ?? ["global"], isSession: isSession ?? false },
      ...{ expiresAt: expiresAt ?? null, createdAt: now, updatedAt: now },
    })
    .returning()
    .get();
  return { token, secret };
}

const grantLifeMs = 5 * 60_000;

/** Lets a client fetch its secrets by a code, once and within five minutes. */
export function issueGrant(
  database: Database,
  { account, client, description, scope }: NewToken & { client: { id: string } },
): { token: Token; code: string } {
  sweepTokens(database);
  const code = newSecret();
  const now = new Date();
  const token = database
    .insert(tokens)
    .values({
      ...{ id: crypto.randomUUID(), accountId: account.id, description, clientId: client.id },
      // Of a secret that nobody has: it opens nothing until the code is exchanged.
      sha256: secretHash(newSecret()),
      ...{ scope: scope ?? ["global"], grantSha256: secretHash(code) },
      grantExpiresAt: new Date(now.getTime() + grantLifeMs),
      ...{ createdAt: now, updatedAt: now },
    })
    .returning()
    .get();
  return { token, code };
}

const clientTokenLifeMs = 8 * 60 * 60_000;

/** New secrets for a client's authorization: they take the place of the ones before. */
export function renewToken(database: Database, { id }: Token) {
  const [secret, refresh] = [newSecret(), newSecret()];
  const token = updateToken(database, id, {
    ...{ sha256: secretHash(secret), hint: hintOf(secret), refreshSha256: secretHash(refresh) },
    ...{ grantSha256: null, grantExpiresAt: null },
    expiresAt: new Date(Date.now() + clientTokenLifeMs),
  });
  return { token, secret, refresh };
}

/** A new secret for a direct authorization; the one before is worth nothing from now on. */
export function regenerateToken(database: Database, { id }: Token) {
  const secret = newSecret();
  const token = updateToken(database, id, { sha256: secretHash(secret), hint: hintOf(secret) });
  return { token, secret };
}

/** The authorization that a client's code or refresh token stands for, while it does. */
export function tokenOfGrant(
  database: Database,
  client: { id: string },
  { code, refresh }: { code?: string | undefined; refresh?: string | undefined },
): Token | undefined {
  const found =
    code === undefined
      ? refresh === undefined
        ? undefined
        : findBy(database, eq(tokens.refreshSha256, secretHash(refresh)))
      : findBy(database, eq(tokens.grantSha256, secretHash(code)));
  if (found?.clientId !== client.id) return undefined;
  if (code !== undefined && (found.grantExpiresAt?.getTime() ?? 0) < Date.now()) return undefined;
  return found;
}

function findBy(database: Database, condition: ReturnType<typeof eq>): Token | undefined {
  return database.select().from(tokens).where(condition).get();
}

/** How often the time of a token's last use is written down. */
const noteUseEveryMs = 60_000;

const findByHash = prepared((database) =>
  database
    .select({ account: accounts, token: tokens })
    .from(tokens)
    .innerJoin(accounts, eq(tokens.accountId, accounts.id))
    .where(eq(tokens.sha256, sql.placeholder("hash")))
    .prepare(),
);

/** Whose token this is, and what it may do; nothing for one that we did not make, or that has expired. */
export function openToken(
  database: Database,
  secret: string,
): { account: Account; token: Token } | undefined {
  const hash = secretHash(secret);
  const found = findByHash(database).get({ hash });
  if (!found || !isSameSecret(found.token.sha256, hash)) return undefined;
  const { token } = found;
  const now = Date.now();
  if (!isAlive(found, now)) return undefined;
  if (now - (token.lastUsedAt?.getTime() ?? 0) > noteUseEveryMs) {
    token.lastUsedAt = new Date(now);
    const note = database.update(tokens).set({ lastUsedAt: token.lastUsedAt });
    try {
      note.where(eq(tokens.id, token.id)).run();
    } catch {
      // On a full disk the door is open all the same: what lies behind it says what cannot be done.
    }
  }
  return found;
}

/** Whose token this is, by its id, while it still opens something: not revoked, not expired. */
export function ownerOfToken(database: Database, id: string): Account | undefined {
  const found = database
    .select({ account: accounts, token: tokens })
    .from(tokens)
    .innerJoin(accounts, eq(tokens.accountId, accounts.id))
    .where(eq(tokens.id, id))
    .get();
  return found && isAlive(found, Date.now()) ? found.account : undefined;
}

function isAlive({ account, token }: { account: Account; token: Token }, now: number): boolean {
  return !account.closedAt && !(token.expiresAt && token.expiresAt.getTime() <= now);
}

/** Whether a token lets do what a scope covers (contract §9.6). Pure. */
export function isAllowed({ scope: granted }: Pick<Token, "scope">, wanted: Scope): boolean {
  const covering: Record<Scope, Scope[]> = {
    global: [],
    identity: ["identity", "read", "write", "read-protected", "write-protected"],
    read: ["read", "write", "read-protected", "write-protected"],
    write: ["write", "write-protected"],
    "read-protected": ["read-protected", "write-protected"],
    "write-protected": ["write-protected"],
  };
  return granted.some((one) => one === "global" || covering[wanted].includes(one));
}

/** Those of an account, oldest first. */
export function listTokens(database: Database, account: Account): Token[] {
  return database
    .select()
    .from(tokens)
    .where(eq(tokens.accountId, account.id))
    .orderBy(tokens.createdAt)
    .all();
}

export function updateToken(
  database: Database,
  id: string,
  change: Partial<Omit<Token, "id" | "accountId">>,
): Token {
  return database
    .update(tokens)
    .set({ ...change, updatedAt: new Date() })
    .where(eq(tokens.id, id))
    .returning()
    .get();
}

export function deleteToken(database: Database, { id }: Pick<Token, "id">): void {
  database.delete(tokens).where(eq(tokens.id, id)).run();
}

export function deleteTokensOf(database: Database, account: Pick<Account, "id">): void {
  database.delete(tokens).where(eq(tokens.accountId, account.id)).run();
}

/** Ends what logins of an account have opened, but for the token in use. */
export function endOtherSessions(
  database: Database,
  account: Pick<Account, "id">,
  usedId: string | undefined,
): void {
  database
    .delete(tokens)
    .where(
      and(
        eq(tokens.accountId, account.id),
        eq(tokens.isSession, true),
        ne(tokens.id, usedId ?? ""),
      ),
    )
    .run();
}

/** A client that goes takes its authorizations with it. */
export function deleteTokensOfClient(database: Database, clientId: string): void {
  database.delete(tokens).where(eq(tokens.clientId, clientId)).run();
}

/** Sessions and codes that have expired; what else has expired stays to be seen. */
function sweepTokens(database: Database): void {
  const now = new Date();
  database
    .delete(tokens)
    .where(
      or(
        and(eq(tokens.isSession, true), lt(tokens.expiresAt, now)),
        lt(tokens.grantExpiresAt, now),
      ),
    )
    .run();
}

function newSecret(): string {
  return `STTR-${randomSecret()}`;
}

function hintOf(secret: string): string {
  return secret.slice(0, "STTR-".length + 4);
}
