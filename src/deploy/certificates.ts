import { checkCertificate, coversHost } from "../certs/certificate.ts";
import type { CertificateFolder } from "../certs/certificate-files.ts";
import { expiryWords, isWarningDue } from "../certs/renewal.ts";
import { PlatformError } from "../lib/platform-error.ts";
import type { Account } from "../model/account.ts";
import { type App, findApp, updateApp } from "../model/app.ts";
import {
  listAutomaticCertificates,
  retryAutomaticCertificates,
} from "../model/automatic-certificate.ts";
import type { Database } from "../model/database.ts";
import { listDomains, listDomainsOfEndpoint } from "../model/domain.ts";
import {
  createSniEndpoint,
  deleteSniEndpoint,
  listSniEndpoints,
  markWarned,
  privateKeyOf,
  replaceSniEndpoint,
  type SniEndpoint,
  type SniEndpointContent,
} from "../model/sni-endpoint.ts";
import type { Vault } from "../model/vault.ts";
import type { RouteCertificate } from "../router/route-table.ts";
import { type AutomaticNames, automaticHosts } from "./automatic-certificates.ts";
import { type ReleaseContext, tell } from "./release-context.ts";

export interface DomainContext extends Pick<ReleaseContext, "database" | "vault" | "logs"> {
  /** The server's own domain. */
  platformDomain: string;
  /** Whether there is an authority that signs certificates. */
  hasAuthority: boolean;
  /** Brings the newest table to the router, and has certificates ordered that are missing. */
  routesChanged: () => Promise<void>;
}

interface Pem {
  certificateChain: string;
  privateKey: string;
}

/** What is done with the certificates of apps; the router has them when a verb resolves. */
export interface Certificates {
  /** Whether there is an authority that signs certificates. */
  hasAuthority: boolean;
  /** Takes a certificate that was checked; no domain has it yet. */
  add(app: App, options: { pem: Pem; user: Account }): Promise<SniEndpoint>;
  /** Another one for the same domains. */
  replace(
    app: App,
    options: { endpoint: SniEndpoint; pem: Pem; user: Account },
  ): Promise<SniEndpoint>;
  remove(app: App, options: { endpoint: SniEndpoint; user: Account }): Promise<void>;
  /** Whether the app's domains get certificates by themselves. */
  setAutomatic(app: App, options: { on: boolean; user: Account }): Promise<App>;
  /** Tries those that have failed again, now. */
  refresh(app: App): Promise<void>;
}

export function openCertificates(context: DomainContext): Certificates {
  const { database, vault, hasAuthority, routesChanged } = context;
  return {
    hasAuthority,
    async add(app, { pem, user }) {
      const endpoint = createSniEndpoint(database, vault, { app, content: checkedContent(pem) });
      tell(context, app, `Add SSL certificate ${endpoint.name} by user ${user.email}`);
      await routesChanged();
      return endpoint;
    },
    async replace(app, { endpoint, pem, user }) {
      const content = checkedContent(pem);
      const hosts = listDomainsOfEndpoint(database, endpoint).map(({ hostname }) => hostname);
      refuseOtherNames(content.certificateNames, hosts);
      const replaced = replaceSniEndpoint(database, vault, { endpoint, content });
      tell(context, app, `Update SSL certificate ${endpoint.name} by user ${user.email}`);
      await routesChanged();
      return replaced;
    },
    async remove(app, { endpoint, user }) {
      deleteSniEndpoint(database, endpoint);
      tell(context, app, `Remove SSL certificate ${endpoint.name} by user ${user.email}`);
      await routesChanged();
    },
    async setAutomatic(app, { on, user }) {
      if (on) requireAuthority();
      const changed = updateApp(database, app, { acm: on });
      tell(
        context,
        app,
        `${on ? "Enable" : "Disable"} automatic certificates by user ${user.email}`,
      );
      await routesChanged();
      return changed;
    },
    async refresh(app) {
      requireAuthority();
      const hosts = listDomains(database, app).map(({ hostname }) => hostname);
      retryAutomaticCertificates(database, hosts);
      await routesChanged();
    },
  };

  function requireAuthority(): void {
    if (hasAuthority) return;
    throw new PlatformError(
      "invalid_params",
      "This server has no authority that signs certificates: its operator can name one (STATOR_ACME_DIRECTORY), or bring a certificate of your own: stator certs:add CRT KEY",
    );
  }
}

function checkedContent(pem: Pem): SniEndpointContent {
  const checked = checkCertificate(pem.certificateChain, pem.privateKey);
  const { certificateChain, privateKey, names, issuer, subject, selfSigned, trusted } = checked;
  return {
    ...{ certificateChain, privateKey, certificateNames: names },
    givenChain: hasOnlyCertificates(pem.certificateChain) ? pem.certificateChain : null,
    ...{ issuer, subject, selfSigned, trusted },
    startsAt: new Date(checked.notBeforeMs),
    expiresAt: new Date(checked.notAfterMs),
  };
}

/** What stands between certificates may be a key, whatever it calls itself: such a text is not kept. */
function hasOnlyCertificates(text: string): boolean {
  const block = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;
  return text.replaceAll(block, "").trim() === "";
}

/** What is to be said of a certificate of an app's own that ends soon or has ended, with the way out. */
export function expiryWarning(endpoint: SniEndpoint, nowMs = Date.now()): string | undefined {
  const { name, startsAt, expiresAt } = endpoint;
  const validity = { notBeforeMs: startsAt.getTime(), notAfterMs: expiresAt.getTime() };
  const words = expiryWords(validity, nowMs);
  return (
    words &&
    `SSL certificate ${name} ${words}. Renew it: stator certs:update CRT KEY --name ${name}`
  );
}

/**
 * Tells apps once a day of their own certificates that end soon, where a domain has them. It is put
 * down first: a crash in between costs a day's line, and never makes two of one.
 */
export function warnOfExpiry(
  context: Pick<ReleaseContext, "database" | "logs">,
  nowMs = Date.now(),
): void {
  const { database } = context;
  for (const endpoint of listSniEndpoints(database)) {
    const warning = expiryWarning(endpoint, nowMs);
    if (warning === undefined || !isWarningDue(endpoint.warnedAt?.getTime() ?? null, nowMs))
      continue;
    const hosts = listDomainsOfEndpoint(database, endpoint).map(({ hostname }) => hostname);
    if (hosts.length === 0) continue;
    markWarned(database, endpoint, new Date(nowMs));
    tell(context, findApp(database, endpoint.appId), `${warning} (serves ${hosts.join(", ")})`);
  }
}

/** A certificate is for the names in it; browsers take it for no other. */
export function refuseOtherNames(names: readonly string[], hosts: readonly string[]): void {
  const other = hosts.filter((host) => !coversHost(names, host));
  if (other.length === 0) return;
  throw new PlatformError(
    "invalid_params",
    `The certificate is for ${names.join(", ")}, not for ${other.join(", ")}.`,
  );
}

/**
 * All certificates as the router gets them: of each host the one of its app's own, else the automatic
 * one. One that cannot be put on disk is left out, and harms no other.
 */
export function routedCertificates(options: {
  database: Database;
  vault: Vault;
  folder: CertificateFolder;
  names: AutomaticNames;
}): RouteCertificate[] {
  const { database, vault, folder, names } = options;
  const wanted = automaticHosts(database, names);
  const own = listSniEndpoints(database).map((endpoint) => ({
    hosts: listDomainsOfEndpoint(database, endpoint).map(({ hostname }) => hostname),
    ...{ certificateChain: endpoint.certificateChain, sealedKey: endpoint.sealedKey },
  }));
  const automatic = listAutomaticCertificates(database)
    .filter(({ host }) => wanted.has(host))
    .map(({ host, certificateChain, sealedKey }) => ({
      hosts: [host],
      ...{ certificateChain, sealedKey },
    }));
  return [...automatic, ...own].flatMap(({ hosts, certificateChain, sealedKey }) => {
    if (hosts.length === 0 || certificateChain === null || sealedKey === null) return [];
    try {
      const privateKey = () => privateKeyOf(vault, { sealedKey });
      return [folder.put({ hosts, certificateChain, privateKey })];
    } catch (error) {
      process.stderr.write(`certificate of ${hosts.join(", ")}: ${String(error)}\n`);
      return [];
    }
  });
}
