import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CertificateFiles } from "./self-signed.ts";

/** Certificates as the router reads them: files that are never changed, named after their content. */
export interface CertificateFolder {
  /**
   * Puts a certificate there, if it is not yet; the record for the router's table. The key is asked
   * for only then; which one it is follows from the certificate.
   */
  put(certificate: {
    hosts: string[];
    certificateChain: string;
    privateKey: () => string;
  }): CertificateFiles;
  /** Takes away all but these; only after the router has a table without the others. */
  retain(files: readonly CertificateFiles[]): void;
}

/** A folder that only its owner may read; made if it is not there. */
export function openCertificateFolder(dir: string): CertificateFolder {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return {
    put({ hosts, certificateChain, privateKey }) {
      const name = createHash("sha256").update(certificateChain).digest("hex").slice(0, 32);
      const certificatePath = join(dir, `${name}.pem`);
      const privateKeyPath = join(dir, `${name}.key`);
      // The key first: where a certificate is, its key is too.
      if (!existsSync(privateKeyPath)) writeWhole(privateKeyPath, privateKey());
      if (!existsSync(certificatePath)) writeWhole(certificatePath, certificateChain);
      return { hosts, certificatePath, privateKeyPath };
    },
    retain(files) {
      const wanted = new Set(files.flatMap((one) => [one.certificatePath, one.privateKeyPath]));
      for (const name of readdirSync(dir))
        if (/^[0-9a-f]{32}\.(pem|key)(\.new)?$/.test(name) && !wanted.has(join(dir, name)))
          rmSync(join(dir, name), { force: true });
    },
  };
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
