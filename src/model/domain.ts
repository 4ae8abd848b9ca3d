import { domainToASCII } from "node:url";
import { and, eq, or } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { PlatformError } from "../lib/platform-error.ts";
import { type App, apps } from "./app.ts";
import type { Database } from "./database.ts";
import { type SniEndpoint, sniEndpoints } from "./sni-endpoint.ts";

/** A name of an app besides the one that it has from the platform (contract §9.3). */
export const domains = sqliteTable("domains", {
  id: text().primaryKey(),
  appId: text()
    .notNull()
    .references(() => apps.id, { onDelete: "cascade" }),
  /** Lower case and in ASCII; with `*.` it is for all names below. */
  hostname: text().notNull().unique(),
  /** A certificate of the app's own; without one it gets an automatic one. */
  sniEndpointId: text().references(() => sniEndpoints.id, { onDelete: "set null" }),
  createdAt: integer({ mode: "timestamp_ms" }).notNull(),
  updatedAt: integer({ mode: "timestamp_ms" }).notNull(),
});

export type Domain = typeof domains.$inferSelect;

const mostDomainsOfApp = 1000;
const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
/** The last label is no number, or it would be an address. */
const namePattern = new RegExp(`^(?=.{1,253}$)(${label}\\.)+(?=[^.]*[a-z])${label}$`);

/**
 * A host name as it is kept: lower case, without the dot at its end, and in the ASCII that DNS has
 * for names in other alphabets. Throws for what is none. Pure.
 */
export function normalizedHostname(text: string): string {
  const given = text.trim().replace(/\.$/, "");
  const isWildcard = given.startsWith("*.");
  const name = isWildcard ? given.slice(2) : given;
  // What the conversion would take for the end of a name, or decode, is no part of one.
  const ascii = /[\s/\\?#@:%*]/.test(name) ? "" : domainToASCII(name);
  if (!namePattern.test(ascii))
    throw new PlatformError(
      "invalid_params",
      `${JSON.stringify(text.slice(0, 260))} is not a domain name. Write it as www.example.com, or *.example.com for all names below.`,
    );
  return isWildcard ? `*.${ascii}` : ascii;
}

export function listDomains(database: Database, app?: App): Domain[] {
  const ofApp = app && eq(domains.appId, app.id);
  return database.select().from(domains).where(ofApp).orderBy(domains.hostname).all();
}

export function listDomainsOfEndpoint(database: Database, endpoint: SniEndpoint): Domain[] {
  return database
    .select()
    .from(domains)
    .where(eq(domains.sniEndpointId, endpoint.id))
    .orderBy(domains.hostname)
    .all();
}

/** By its id, or its name in any spelling. */
export function lookUpDomain(
  database: Database,
  app: App,
  idOrHostname: string,
): Domain | undefined {
  const named = eq(domains.hostname, spelled(idOrHostname));
  return database
    .select()
    .from(domains)
    .where(and(eq(domains.appId, app.id), or(eq(domains.id, idOrHostname), named)))
    .get();
}

function spelled(hostname: string): string {
  try {
    return normalizedHostname(hostname);
  } catch {
    return hostname;
  }
}

/** Gives an app a name that is nobody's yet, and not the platform's own. */
export function createDomain(
  database: Database,
  options: { app: App; hostname: string; platformDomain: string; sniEndpointId: string | null },
): Domain {
  const { app, platformDomain, sniEndpointId } = options;
  const hostname = normalizedHostname(options.hostname);
  if (hostname === platformDomain || hostname.endsWith(`.${platformDomain}`))
    throw new PlatformError(
      "invalid_params",
      `${hostname} belongs to this server itself (${platformDomain}): an app gets such a name by stator apps:rename, or choose a domain of your own.`,
    );
  if (isBelow(platformDomain, hostname))
    throw new PlatformError(
      "invalid_params",
      `${hostname} cannot be added: ${platformDomain}, below which are this server's own names, would be a part of it.`,
    );
  return database.transaction((transaction) => {
    const all = transaction
      .select({ hostname: domains.hostname, appId: apps.id, ownerId: apps.ownerId })
      .from(domains)
      .innerJoin(apps, eq(apps.id, domains.appId))
      .all();
    if (all.filter(({ appId }) => appId === app.id).length >= mostDomainsOfApp)
      throw new PlatformError(
        "invalid_params",
        `${app.name} has ${mostDomainsOfApp} domains, and may not have more. One for many names: *.example.com`,
      );
    refuseTaken(hostname, { app, all });
    const now = new Date();
    return transaction
      .insert(domains)
      .values({
        ...{ id: crypto.randomUUID(), appId: app.id, hostname, sniEndpointId },
        ...{ createdAt: now, updatedAt: now },
      })
      .returning()
      .get();
  });
}

/**
 * A name is had once. Below a wildcard of an app, only apps of the same owner have names, or anyone
 * could take one out of it. Pure.
 */
function refuseTaken(
  hostname: string,
  { app, all }: { app: App; all: { hostname: string; appId: string; ownerId: string }[] },
): void {
  const same = all.find((domain) => domain.hostname === hostname);
  if (same)
    throw new PlatformError(
      "invalid_params",
      same.appId === app.id
        ? `${hostname} is a domain of ${app.name} already.`
        : `${hostname} is currently in use by another app.`,
    );
  const overlapping = all
    .filter(({ ownerId }) => ownerId !== app.ownerId)
    .find((other) => isBelow(hostname, other.hostname) || isBelow(other.hostname, hostname));
  if (overlapping)
    throw new PlatformError(
      "invalid_params",
      `${hostname} cannot be added: ${overlapping.hostname} is currently in use by another app, whose owner is somebody else.`,
    );
}

function isBelow(hostname: string, wildcard: string): boolean {
  return wildcard.startsWith("*.") && hostname.endsWith(wildcard.slice(1));
}

export function updateDomain(
  database: Database,
  domain: Domain,
  change: Pick<Domain, "sniEndpointId">,
): Domain {
  return database
    .update(domains)
    .set({ ...change, updatedAt: new Date() })
    .where(eq(domains.id, domain.id))
    .returning()
    .get();
}

export function deleteDomain(database: Database, domain: Domain): void {
  database.delete(domains).where(eq(domains.id, domain.id)).run();
}
