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
  /** A certificate has come: bring it to the router. */
  onIssued: (certificate: AutomaticCertificate) => Promise<void>;
  backOff?: BackOff;
  nowMs?: () => number;
}

export interface AutomaticCertificates {
  /**
   * Orders what is missing or due, some names at a time, and puts down what came of each. To be
   * called every few seconds; a call while one is under way returns at once.
   */
  reconcile(): Promise<void>;
}

const atOnce = 4;

/** A new name's record: it is seen to at the next pass. */
export function pendingCertificate(host: string): AutomaticCertificate {
  return {
    ...{ host, status: "pending", reason: null, failures: 0, nextAttemptAtMs: 0 },
    ...{ certificateChain: null, privateKey: null, notBeforeMs: null, notAfterMs: null },
  };
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
  const { backOff = usualBackOff, nowMs = Date.now } = options;
  let isRunning = false;
  let resolver = openResolver();

  /** One for each pass: it remembers what it was told, and an owner may just have put it right. */
  function openResolver(): Resolver {
    const opened = new Resolver({ timeout: 3_000, tries: 2 });
    if (options.dnsServers) opened.setServers(options.dnsServers);
    return opened;
  }

  async function reconcile(): Promise<void> {
    const due = store.list().filter((certificate) => isDue(certificate, nowMs()));
    if (due.length === 0) return;
    resolver = openResolver();
    try {
      const directory = await readDirectory(authority);
      const account = await ensureAccount();
      const next = due.values();
      const takeTurns = async () => {
        for (const certificate of next) await attempt(certificate, directory, account);
      };
      await Promise.all(Array.from({ length: atOnce }, takeTurns));
    } catch (error) {
      // The CA itself: no name is to blame, and all wait.
      for (const certificate of due) fail(certificate, messageOf(error));
    }
  }

  async function ensureAccount(): Promise<AcmeAccount> {
    const known = store.account();
    if (known?.directoryUrl === authority.directoryUrl) return known;
    const account = await createAccount(authority);
    store.saveAccount(account);
    return account;
  }

  async function attempt(
    certificate: AutomaticCertificate,
    directory: AuthorityDirectory,
    account: AcmeAccount,
  ): Promise<void> {
    const { host } = certificate;
    try {
      const responder = responderOf(host);
      const checked = await precheck(host, responder, directory);
      if (!checked.ok) return fail(certificate, checked.reason);
      if (certificate.certificateChain === null)
        store.save({ ...certificate, status: "dns-verified", reason: null });
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
    }
  }

  function responderOf(host: string): ChallengeResponder {
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
    { caaIdentities }: AuthorityDirectory,
  ): Promise<Precheck> {
    const caa = await isAllowedByCaa(host, { resolver, identities: caaIdentities });
    if (!caa.ok || responder.kind === "dns-01") return caa;
    const [token, value] = [`stator-${crypto.randomUUID()}`, crypto.randomUUID()];
    await options.http01.put(token, value);
    try {
      return await pointsHere(host, { resolver, port: options.httpPort, token, value });
    } finally {
      await options.http01.remove(token);
    }
  }

  async function succeed(
    certificate: AutomaticCertificate,
    issued: Pick<
      ReturnType<typeof checkCertificate>,
      "certificateChain" | "privateKey" | "notBeforeMs" | "notAfterMs"
    >,
  ): Promise<void> {
    const { certificateChain, privateKey, notBeforeMs, notAfterMs } = issued;
    const now: AutomaticCertificate = {
      ...{ host: certificate.host, status: "issued", reason: null, failures: 0 },
      ...{ nextAttemptAtMs: 0, certificateChain, privateKey, notBeforeMs, notAfterMs },
    };
    store.save(now);
    await options.onIssued(now);
  }

  function fail(certificate: AutomaticCertificate, reason: string): void {
    const failures = certificate.failures + 1;
    store.save({
      ...certificate,
      ...{ status: "failing", reason, failures },
      nextAttemptAtMs: nowMs() + waitAfterMs(failures, backOff, Math.random()),
    });
  }

  return {
    async reconcile() {
      if (isRunning) return;
      isRunning = true;
      try {
        await reconcile();
      } finally {
        isRunning = false;
      }
    },
  };
}

/** The CA's own words where there are some: the library puts its whole answer into the message. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(/\s+/g, " ").slice(0, 500);
}
