import { Resolver } from "node:dns/promises";
import type { Argv } from "../lib/exec.ts";
import {
  type AcmeAccount,
  type AuthorityDirectory,
  type CertificateAuthority,
  type ChallengeResponder,
  createAccount,
  orderCertificate,
  readDirectory,
} from "./acme-order.ts";
import { checkCertificate, coversHost } from "./certificate.ts";
import { dnsResponder } from "./dns-hook.ts";
import { isAllowedByCaa, pointsHere, type Precheck } from "./precheck.ts";
import { type BackOff, renewAtMs, usualBackOff, waitAfterMs } from "./renewal.ts";

/** The words of Heroku's `acm_status`. */
export type CertificateStatus = "pending" | "in-progress" | "dns-verified" | "issued" | "failing";

/** What is known of the certificate of one name. The one at hand serves on while a new one fails. */
export interface AutomaticCertificate {
  /** Lower case; with `*.` it needs the DNS hook. */
  host: string;
  status: CertificateStatus;
  /** Why it is failing, in a sentence for its owner. */
  reason: string | null;
  failures: number;
  nextAttemptAtMs: number;
  certificateChain: string | null;
  privateKey: string | null;
  issuer: string | null;
  notBeforeMs: number | null;
  notAfterMs: number | null;
}

/** Where the server keeps them; the private keys are secrets. */
export interface CertificateStore {
  account(): AcmeAccount | undefined;
  saveAccount(account: AcmeAccount): void;
  /** One record for each name that is to have a certificate. */
  list(): AutomaticCertificate[];
  /** A name that has been taken away meanwhile is not brought back. */
  save(certificate: AutomaticCertificate): void;
}

export interface AutomaticCertificateOptions {
  store: CertificateStore;
  authority: CertificateAuthority;
  /** Answers HTTP-01: resolves when all of the router's workers know the value. */
  http01: {
    put(token: string, value: string): Promise<void>;
    remove(token: string): Promise<void>;
  };
  /** Where the router is reached from outside; 80 for every public CA. */
  httpPort: number;
  /** For wildcards, and for all names if it is there. */
  dnsHook?: Argv | undefined;
  /** How long the hook's record is waited for. */
  dnsVisibleMs?: number | undefined;
  /** `ADDRESS:PORT` of DNS servers; the system's, if left out. */
  dnsServers?: string[] | undefined;
  /** Whether the CA may get to an address; all, if left out. */
  isReachable?: ((address: string) => boolean) | undefined;
  /** A certificate has come: bring it to the router. */
  onIssued: (certificate: AutomaticCertificate) => Promise<void>;
  backOff?: BackOff;
  /** So many certificates at most are ordered in an hour for names that have none yet. */
  newOrdersPerHour?: number;
  nowMs?: () => number;
}

export interface AutomaticCertificates {
  /**
   * Orders what is missing or due, some names at a time, and puts down what came of each. To be
   * called every few seconds; a call does not wait for the names that another is busy with.
   */
  reconcile(): Promise<void>;
}

const atOnce = 4;
/**
 * Let's Encrypt takes 300 orders of an account in three hours: whoever adds names by the hundred must
 * not use up what renewals need.
 */
const usualNewOrdersPerHour = 80;
const hourMs = 3_600_000;
/** An order whose server has died is begun anew after so long. */
const takenUpAfterMs = 30_000;

/** What all names of one call are seen to with. */
interface Pass {
  directory: AuthorityDirectory;
  account: AcmeAccount;
  resolver: Resolver;
}

/** A new name's record: it is seen to at the next pass. */
export function pendingCertificate(host: string): AutomaticCertificate {
  return {
    ...{ host, status: "pending", reason: null, failures: 0, nextAttemptAtMs: 0 },
    ...{ certificateChain: null, privateKey: null, issuer: null },
    ...{ notBeforeMs: null, notAfterMs: null },
  };
}

function isNew({ certificateChain }: AutomaticCertificate): boolean {
  return certificateChain === null;
}

/** Whether the CA is to be asked for a name now. */
function isDue(certificate: AutomaticCertificate, nowMs: number): boolean {
  const { notBeforeMs, notAfterMs, nextAttemptAtMs } = certificate;
  if (nowMs < nextAttemptAtMs) return false;
  if (notBeforeMs === null || notAfterMs === null) return true;
  return nowMs >= renewAtMs({ notBeforeMs, notAfterMs });
}

/** Certificates by ACME for all names of a store; each name has its own, so none can spoil another's. */
export function createAutomaticCertificates(
  options: AutomaticCertificateOptions,
): AutomaticCertificates {
  const { store, authority } = options;
  const { backOff = usualBackOff, nowMs = Date.now, isReachable = () => true } = options;
  const { newOrdersPerHour = usualNewOrdersPerHour } = options;
  const underWay = new Set<string>();
  let newOrdersAtMs: number[] = [];
  let preparing = false;

  /** One for each pass: it remembers what it was told, and an owner may just have put it right. */
  function openResolver(): Resolver {
    const opened = new Resolver({ timeout: 3_000, tries: 2 });
    if (options.dnsServers) opened.setServers(options.dnsServers);
    return opened;
  }

  async function reconcile(): Promise<void> {
    if (preparing || underWay.size >= atOnce || listDue().length === 0) return;
    const pass = await prepare();
    if (pass === undefined) return;
    const takeTurns = async () => {
      for (let [next] = listDue(); next !== undefined && underWay.size < atOnce; [next] = listDue())
        await attempt(next, pass);
    };
    await Promise.all(Array.from({ length: atOnce - underWay.size }, takeTurns));
  }

  /** Renewals first, then those that have failed least: nobody gets before others by failing. */
  function listDue(): AutomaticCertificate[] {
    newOrdersAtMs = newOrdersAtMs.filter((atMs) => atMs > nowMs() - hourMs);
    const takesNew = newOrdersAtMs.length + underWay.size < newOrdersPerHour;
    return store
      .list()
      .filter((one) => !underWay.has(one.host) && isDue(one, nowMs()))
      .filter((one) => takesNew || !isNew(one))
      .toSorted(
        (one, other) => Number(isNew(one)) - Number(isNew(other)) || one.failures - other.failures,
      );
  }

  async function prepare(): Promise<Pass | undefined> {
    preparing = true;
    try {
      const directory = await readDirectory(authority);
      return { directory, account: await ensureAccount(), resolver: openResolver() };
    } catch (error) {
      // The CA itself: no name is to blame, and all wait.
      for (const certificate of listDue()) fail(certificate, messageOf(error));
      return undefined;
    } finally {
      preparing = false;
    }
  }

  async function ensureAccount(): Promise<AcmeAccount> {
    const known = store.account();
    if (known?.directoryUrl === authority.directoryUrl) return known;
    const account = await createAccount(authority);
    store.saveAccount(account);
    return account;
  }

  async function attempt(certificate: AutomaticCertificate, pass: Pass): Promise<void> {
    const { host } = certificate;
    const { account } = pass;
    underWay.add(host);
    try {
      const responder = responderOf(host, pass);
      const checked = await precheck(host, responder, pass);
      if (!checked.ok) return fail(certificate, checked.reason);
      // First, so that neither a crash nor a full disk has the CA asked again and again.
      store.save({
        ...{ ...certificate, nextAttemptAtMs: nowMs() + takenUpAfterMs },
        ...(isNew(certificate) ? { status: "dns-verified", reason: null } : {}),
      });
      if (isNew(certificate)) newOrdersAtMs.push(nowMs());
      const ordered = await orderCertificate(host, { authority, account, responder });
      const { names, ...issued } = checkCertificate(
        ordered.certificateChain,
        ordered.privateKey,
        nowMs(),
      );
      if (!coversHost(names, host) && !names.includes(host))
        throw new Error(`The certificate authority signed ${names.join(", ")}, not ${host}`);
      await succeed(certificate, issued);
    } catch (error) {
      fail(certificate, messageOf(error));
    } finally {
      underWay.delete(host);
    }
  }

  function responderOf(host: string, { resolver }: Pass): ChallengeResponder {
    if (options.dnsHook)
      return dnsResponder(options.dnsHook, { resolver, visibleMs: options.dnsVisibleMs });
    if (host.startsWith("*."))
      throw new Error(`${host} needs DNS-01: set a DNS hook, or add a certificate of your own`);
    return {
      kind: "http-01",
      present: ({ token, value }) => options.http01.put(token, value),
      remove: ({ token }) => options.http01.remove(token),
    };
  }

  async function precheck(
    host: string,
    responder: ChallengeResponder,
    { directory, resolver }: Pass,
  ): Promise<Precheck> {
    const caa = await isAllowedByCaa(host, { resolver, identities: directory.caaIdentities });
    if (!caa.ok || responder.kind === "dns-01") return caa;
    const [token, value] = [`stator-${crypto.randomUUID()}`, crypto.randomUUID()];
    await options.http01.put(token, value);
    try {
      const { httpPort: port } = options;
      return await pointsHere(host, { resolver, isReachable, port, token, value });
    } finally {
      await options.http01.remove(token);
    }
  }

  async function succeed(
    certificate: AutomaticCertificate,
    issued: Pick<
      ReturnType<typeof checkCertificate>,
      "certificateChain" | "privateKey" | "issuer" | "notBeforeMs" | "notAfterMs"
    >,
  ): Promise<void> {
    const { certificateChain, privateKey, issuer, notBeforeMs, notAfterMs } = issued;
    const now: AutomaticCertificate = {
      ...{ host: certificate.host, status: "issued", reason: null, failures: 0 },
      ...{ certificateChain, privateKey, issuer, notBeforeMs, notAfterMs },
      // Whatever the clocks here and there say, none is renewed more than three times in its life.
      nextAttemptAtMs: nowMs() + (notAfterMs - notBeforeMs) / 3,
    };
    store.save(now);
    // What keeps it from the router is no failure of the name, and is tried again with the next table.
    await options.onIssued(now).catch(() => {});
  }

  function fail(certificate: AutomaticCertificate, reason: string): void {
    const failures = certificate.failures + 1;
    store.save({
      ...certificate,
      ...{ status: "failing", reason, failures },
      nextAttemptAtMs: nowMs() + waitAfterMs(failures, backOff, Math.random()),
    });
  }

  return { reconcile };
}

/** The CA's own words where there are some: the library puts its whole answer into the message. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(/\s+/g, " ").slice(0, 500);
}
