import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import type { RouteCertificate, Routes } from "./route-table.ts";

export interface Certificates {
  /** Reads the certificates of a table; returns a sentence about each that can't be used. */
  load(table: Pick<Routes, "certificates" | "rendezvous">): Promise<string[]>;
  /**
   * For the name that a client asks for: exact first, then a wildcard for its first label. For an
   * empty name, that of the rendezvous.
   */
  find(serverName: string): SecureContext | undefined;
  /** Called, now and at each change, with what is for clients that ask for no name. */
  onNameless(listener: (options: SecureContextOptions) => void): void;
}

/** TLS 1.2 and 1.3 only, and of 1.2 only what has forward secrecy and authenticated encryption. */
export const tlsOptions = {
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
  honorCipherOrder: true,
  ciphers: [
    ...["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"],
    ...["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
    ...["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
    ...["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
  ].join(":"),
} as const;

interface Loaded {
  context: SecureContext;
  certificate: RouteCertificate;
}

/** Certificates by name, exchanged while the router runs. */
export function createCertificates(): Certificates {
  let byHost = new Map<string, Loaded>();
  let byFiles = new Map<string, SecureContext>();
  let nameless: { context: SecureContext; options: SecureContextOptions } | undefined;
  const listeners: ((options: SecureContextOptions) => void)[] = [];

  async function contextOf(
    certificate: RouteCertificate,
    known: Map<string, SecureContext>,
  ): Promise<SecureContext> {
    const { certificatePath, privateKeyPath } = certificate;
    const [certStat, keyStat] = await Promise.all([stat(certificatePath), stat(privateKeyPath)]);
    // Thousands of certificates are not read anew for each change of the table.
    const files = [certificatePath, certStat, privateKeyPath, keyStat]
      .map((part) => (typeof part === "string" ? part : `${part.ino} ${part.size} ${part.mtimeMs}`))
      .join(" ");
    const context =
      known.get(files) ?? byFiles.get(files) ?? createSecureContext(await readOptions(certificate));
    known.set(files, context);
    return context;
  }

  /** The listener takes files' text only, so this one is read twice. Without it, the last one stays. */
  async function chooseNameless(hosts: Map<string, Loaded>, host: string): Promise<void> {
    const chosen = lookUp(hosts, host);
    if (chosen === undefined || chosen.context === nameless?.context) return;
    nameless = { context: chosen.context, options: await readOptions(chosen.certificate) };
    for (const listener of listeners) listener(nameless.options);
  }

  return {
    async load({ certificates, rendezvous }) {
      const setAside: string[] = [];
      const hosts = new Map<string, Loaded>();
      const known = new Map<string, SecureContext>();
      for (const certificate of certificates) {
        try {
          const context = await contextOf(certificate, known);
          for (const host of certificate.hosts)
            hosts.set(host.toLowerCase(), { context, certificate });
        } catch (error) {
          setAside.push(`certificate of ${certificate.hosts.join(", ")}: ${String(error)}`);
        }
      }
      if (rendezvous !== undefined) {
        try {
          await chooseNameless(hosts, rendezvous.host);
        } catch (error) {
          setAside.push(`certificate of ${rendezvous.host}: ${String(error)}`);
        }
      }
      byHost = hosts;
      byFiles = known;
      return setAside;
    },
    find: (serverName) =>
      serverName === "" ? nameless?.context : lookUp(byHost, serverName)?.context,
    onNameless(listener) {
      listeners.push(listener);
      if (nameless !== undefined) listener(nameless.options);
    },
  };
}

function lookUp(hosts: ReadonlyMap<string, Loaded>, serverName: string): Loaded | undefined {
  const name = serverName.toLowerCase().replace(/\.$/, "");
  return hosts.get(name) ?? hosts.get(name.replace(/^[^.]+/, "*"));
}

async function readOptions(certificate: RouteCertificate): Promise<SecureContextOptions> {
  return {
    ...tlsOptions,
    cert: await readFile(certificate.certificatePath, "utf8"),
    key: await readFile(certificate.privateKeyPath, "utf8"),
  };
}
