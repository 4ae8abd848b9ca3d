import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import type { RouteCertificate } from "./route-table.ts";

export interface Certificates {
  /** Reads the certificates of a table; returns a sentence about each that can't be used. */
  load(certificates: readonly RouteCertificate[]): Promise<string[]>;
  /** For the name that a client asks for: exact first, then a wildcard for its first label. */
  find(serverName: string): SecureContext | undefined;
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

/** Certificates by name, exchanged while the router runs. */
export function createCertificates(): Certificates {
  let byHost = new Map<string, SecureContext>();
  let byFiles = new Map<string, SecureContext>();

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
      known.get(files) ??
      byFiles.get(files) ??
      createSecureContext({
        ...tlsOptions,
        cert: await readFile(certificatePath, "utf8"),
        key: await readFile(privateKeyPath, "utf8"),
      });
    known.set(files, context);
    return context;
  }

  return {
    async load(certificates) {
      const setAside: string[] = [];
      const hosts = new Map<string, SecureContext>();
      const known = new Map<string, SecureContext>();
      for (const certificate of certificates) {
        try {
          const context = await contextOf(certificate, known);
          for (const host of certificate.hosts) hosts.set(host.toLowerCase(), context);
        } catch (error) {
          setAside.push(`certificate of ${certificate.hosts.join(", ")}: ${String(error)}`);
        }
      }
      byHost = hosts;
      byFiles = known;
      return setAside;
    },
    find(serverName) {
      const name = serverName.toLowerCase().replace(/\.$/, "");
      return byHost.get(name) ?? byHost.get(name.replace(/^[^.]+/, "*"));
    },
  };
}
