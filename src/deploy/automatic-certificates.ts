import {
  type AutomaticCertificate,
  type CertificateStore,
  pendingCertificate,
} from "../certs/automatic-certificates.ts";
import { type App, listApps } from "../model/app.ts";
import {
  type AutomaticCertificateRow,
  forgetAutomaticCertificates,
  listAutomaticCertificates,
  lookUpAcmeAccount,
  lookUpAutomaticCertificate,
  saveAcmeAccount,
  saveAutomaticCertificate,
} from "../model/automatic-certificate.ts";
import type { Database } from "../model/database.ts";
import { type Domain, listDomains } from "../model/domain.ts";
import { currentRelease } from "../model/release.ts";
import { privateKeyOf } from "../model/sni-endpoint.ts";
import type { Vault } from "../model/vault.ts";

/** What decides which hosts get a certificate by themselves. */
export interface AutomaticNames {
  /** The server's own domain. */
  domain: string;
  /** With a hook for DNS one wildcard is enough for the platform's own names. */
  hasDnsHook: boolean;
}

/** Whether a domain gets a certificate by itself: not with one of its own, nor where it is not wanted. */
export function isAutomatic(app: App, { sniEndpointId }: Pick<Domain, "sniEndpointId">): boolean {
  return app.acm && sniEndpointId === null;
}

/** All hosts that are to have a certificate of an authority, and whose they are. */
export function automaticHosts(
  database: Database,
  { domain, hasDnsHook }: AutomaticNames,
): Map<string, App | null> {
  const apps = listApps(database);
  const byId = new Map(apps.map((app) => [app.id, app]));
  const ofPlatform = hasDnsHook
    ? [`*.${domain}`]
    : [`api.${domain}`, `git.${domain}`, ...deployedHosts(database, apps, domain)];
  const ofApps = listDomains(database).flatMap((one): [string, App][] => {
    const app = byId.get(one.appId);
    return app && isAutomatic(app, one) ? [[one.hostname, app]] : [];
  });
  return new Map<string, App | null>([
    ...ofPlatform.map((host): [string, null] => [host, null]),
    ...ofApps,
  ]);
}

/** An app without code has nothing to show, and authorities count the names of a domain. */
function deployedHosts(database: Database, apps: App[], domain: string): string[] {
  return apps
    .filter((app) => Boolean(currentRelease(database, app)?.slugId))
    .map(({ name }) => `${name}.${domain}`);
}

/** The store of certs/ over ours; what has come of a name is told to its app. */
export function createCertificateStore(options: {
  database: Database;
  vault: Vault;
  names: AutomaticNames;
  directoryUrl: string;
  /** To the app, or to the operator where it is a name of the platform's. */
  tell: (app: App | null, message: string) => void;
}): CertificateStore & { close(): void } {
  const { database, vault, names, directoryUrl, tell } = options;
  let closed = false;
  return {
    account: () => lookUpAcmeAccount(database, vault, directoryUrl),
    saveAccount: (account) => saveAcmeAccount(database, vault, account),
    list() {
      if (closed) return [];
      const wanted = automaticHosts(database, names);
      forgetAutomaticCertificates(database, { wanted, now: new Date() });
      const rows = new Map(listAutomaticCertificates(database).map((row) => [row.host, row]));
      return [...wanted.keys()].map((host) => {
        const row = rows.get(host);
        if (!row) return pendingCertificate(host);
        const certificate = asCertificate(vault, row);
        if (row.directoryUrl === null || row.directoryUrl === directoryUrl) return certificate;
        // Another authority was chosen: what there is serves on until it has signed too.
        const undated = { notBeforeMs: null, notAfterMs: null };
        return certificate.status === "issued"
          ? { ...certificate, ...undated, nextAttemptAtMs: 0 }
          : { ...certificate, ...undated };
      });
    },
    save(certificate) {
      const wanted = closed ? undefined : automaticHosts(database, names);
      if (!wanted?.has(certificate.host)) return;
      const app = wanted.get(certificate.host) ?? null;
      const before = lookUpAutomaticCertificate(database, certificate.host);
      const isNew = certificate.certificateChain !== before?.certificateChain;
      saveAutomaticCertificate(database, {
        ...{ ...asRow(vault, certificate), directoryUrl },
        // What is said of the one that serves on stays as it is.
        ...(before && !isNew
          ? {
              directoryUrl: before.directoryUrl,
              startsAt: before.startsAt,
              expiresAt: before.expiresAt,
            }
          : {}),
      });
      const said = sentenceOf(before, certificate);
      if (said !== undefined) tell(app, said);
    },
    close: () => void (closed = true),
  };
}

/** What is new enough for the app's log: no retry that fails as the last one did. */
function sentenceOf(
  before: AutomaticCertificateRow | undefined,
  { host, status, reason, certificateChain, notAfterMs }: AutomaticCertificate,
): string | undefined {
  if (status === "failing" && reason !== before?.reason)
    return `No certificate for ${host}: ${reason}`;
  if (status === "issued" && certificateChain !== before?.certificateChain)
    return `Certificate for ${host} issued, valid until ${new Date(notAfterMs ?? 0).toISOString()}`;
  return undefined;
}

function asCertificate(vault: Vault, row: AutomaticCertificateRow): AutomaticCertificate {
  const { host, status, reason, failures } = row;
  const state = { host, status, reason, failures, nextAttemptAtMs: row.nextAttemptAt.getTime() };
  const privateKey = openedKey(vault, row);
  // A key that cannot be read is no certificate; it takes no other name with it.
  if (privateKey === null) return { ...pendingCertificate(host), ...state };
  return {
    ...{ ...state, privateKey, certificateChain: row.certificateChain, issuer: row.issuer },
    notBeforeMs: row.startsAt?.getTime() ?? null,
    notAfterMs: row.expiresAt?.getTime() ?? null,
  };
}

function openedKey(vault: Vault, { sealedKey }: AutomaticCertificateRow): string | null {
  try {
    return sealedKey && privateKeyOf(vault, { sealedKey });
  } catch {
    return null;
  }
}

function asRow(vault: Vault, certificate: AutomaticCertificate) {
  const { host, status, reason, failures, certificateChain, privateKey, issuer } = certificate;
  const { notBeforeMs, notAfterMs } = certificate;
  return {
    ...{ host, status, reason, failures, certificateChain, issuer },
    nextAttemptAt: new Date(certificate.nextAttemptAtMs),
    sealedKey: privateKey === null ? null : Buffer.from(vault.seal({ privateKey })),
    startsAt: notBeforeMs === null ? null : new Date(notBeforeMs),
    expiresAt: notAfterMs === null ? null : new Date(notAfterMs),
  };
}
