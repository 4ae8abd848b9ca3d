import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import type { RouteCertificate } from "./route-table.ts";

export interface Certificates {
  /** Reads the certificates of a table; returns a sentence about each that can't be used. */
  load(certificates: readonly RouteCertificate[]): Promise<string[]>;
  /** For the name that a client asks for: exact first, then a wildcard for its first label. */
  find(serverName: string): SecureContext | undefined;
}

/** Certificates by name, exchanged while the router runs. */
export function createCertificates(): Certificates {
  let byHost = new Map<string, SecureContext>();
  let byContent = new Map<string, SecureContext>();

  async function contextOf(
    certificate: RouteCertificate,
    known: Map<string, SecureContext>,
  ): Promise<SecureContext> {
    const [cert, key] = await Promise.all([
      readFile(certificate.certificatePath, "utf8"),
      readFile(certificate.privateKeyPath, "utf8"),
    ]);
    const content = `${cert}\n${key}`;
    const context =
      known.get(content) ??
      byContent.get(content) ??
      createSecureContext({ cert, key, minVersion: "TLSv1.2" });
    known.set(content, context);
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
      byContent = known;
      return setAside;
    },
    find(serverName) {
      const name = serverName.toLowerCase().replace(/\.$/, "");
      return byHost.get(name) ?? byHost.get(name.replace(/^[^.]+/, "*"));
    },
  };
}
