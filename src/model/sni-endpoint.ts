import { randomInt } from "node:crypto";
import { and, eq, or } from "drizzle-orm";
import { blob, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { PlatformError } from "../lib/platform-error.ts";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";
import type { Vault } from "./vault.ts";

/** A certificate that someone has brought, with its key; domains are pointed at it. */
export const sniEndpoints = sqliteTable("sni_endpoints", {
  id: text().primaryKey(),
  appId: text()
    .notNull()
    .references(() => apps.id, { onDelete: "cascade" }),
  name: text().notNull().unique(),
  /** PEM, leaf first. */
  certificateChain: text().notNull(),
  /** As it was given, where that has nothing but certificates; clients compare it. */
  givenChain: text(),
  sealedKey: blob({ mode: "buffer" }).notNull(),
  /** The names that it is good for; some may begin with `*.`. */
  certificateNames: text({ mode: "json" }).$type<string[]>().notNull(),
  issuer: text().notNull(),
  subject: text().notNull(),
  selfSigned: integer({ mode: "boolean" }).notNull(),
  /** An authority that browsers know has signed it. */
  trusted: integer({ mode: "boolean" }).notNull(),
  startsAt: integer({ mode: "timestamp_ms" }).notNull(),
  expiresAt: integer({ mode: "timestamp_ms" }).notNull(),
  /** When its owner was last told that it ends soon. */
  warnedAt: integer({ mode: "timestamp_ms" }),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type SniEndpoint = typeof sniEndpoints.$inferSelect;
/** What a certificate says, and its key in the clear. */
export type SniEndpointContent = Omit<
  SniEndpoint,
  "id" | "appId" | "name" | "sealedKey" | "givenChain" | "warnedAt" | "createdAt" | "updatedAt"
> & { privateKey: string; givenChain?: string | null };

export function listSniEndpoints(database: Database, app?: App): SniEndpoint[] {
  const ofApp = app && eq(sniEndpoints.appId, app.id);
  return database.select().from(sniEndpoints).where(ofApp).orderBy(sniEndpoints.name).all();
}

export function findSniEndpoint(database: Database, app: App, idOrName: string): SniEndpoint {
  const found = database
    .select()
    .from(sniEndpoints)
    .where(
      and(
        eq(sniEndpoints.appId, app.id),
        or(eq(sniEndpoints.id, idOrName), eq(sniEndpoints.name, idOrName)),
      ),
    )
    .get();
  if (found) return found;
  throw new PlatformError(
    "not_found",
    `Couldn't find that SSL certificate: ${JSON.stringify(idOrName.slice(0, 80))}. See stator certs -a ${app.name}.`,
  );
}

export function createSniEndpoint(
  database: Database,
  vault: Vault,
  { app, content }: { app: App; content: SniEndpointContent },
): SniEndpoint {
  const now = new Date();
  return database
    .insert(sniEndpoints)
    .values({
      ...{ id: crypto.randomUUID(), appId: app.id, name: freeName(database) },
      ...{ ...sealed(vault, content), createdAt: now, updatedAt: now },
    })
    .returning()
    .get();
}

/** Puts another certificate in the place of one; the domains stay. */
export function replaceSniEndpoint(
  database: Database,
  vault: Vault,
  { endpoint, content }: { endpoint: SniEndpoint; content: SniEndpointContent },
): SniEndpoint {
  return database
    .update(sniEndpoints)
    .set({ ...sealed(vault, content), warnedAt: null, updatedAt: new Date() })
    .where(eq(sniEndpoints.id, endpoint.id))
    .returning()
    .get();
}

/** Puts down that its owner is told now that it ends soon. */
export function markWarned(database: Database, { id }: SniEndpoint, warnedAt: Date): void {
  database.update(sniEndpoints).set({ warnedAt }).where(eq(sniEndpoints.id, id)).run();
}

/** Its domains go on without it. */
export function deleteSniEndpoint(database: Database, endpoint: SniEndpoint): void {
  database.delete(sniEndpoints).where(eq(sniEndpoints.id, endpoint.id)).run();
}

export function privateKeyOf(vault: Vault, { sealedKey }: Pick<SniEndpoint, "sealedKey">): string {
  return vault.open(sealedKey).privateKey ?? "";
}

function sealed(vault: Vault, { privateKey, ...content }: SniEndpointContent) {
  return { ...content, sealedKey: Buffer.from(vault.seal({ privateKey })) };
}

function freeName(database: Database): string {
  for (;;) {
    const name = `cert-${randomInt(1000, 100_000)}`;
    const taken = database.select().from(sniEndpoints).where(eq(sniEndpoints.name, name)).get();
    if (!taken) return name;
  }
}
