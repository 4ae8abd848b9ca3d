import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../lib/exec.ts";

export interface CertificateFiles {
  hosts: string[];
  certificatePath: string;
  privateKeyPath: string;
}

const lifeDays = 365;
const renewBeforeMs = 30 * 24 * 3600_000;

/**
 * A certificate of our own making for the platform's names, so that HTTPS answers from the first
 * moment on. Browsers warn of it: nobody vouches for it. Renewed a month before its end.
 */
export async function selfSignedCertificate(
  dir: string,
  domain: string,
): Promise<CertificateFiles> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const certificatePath = join(dir, `${domain}.pem`);
  const privateKeyPath = join(dir, `${domain}.key`);
  // By name too: no client takes a wildcard for names right below `localhost`.
  const names = [domain, `*.${domain}`, `api.${domain}`, `git.${domain}`];
  if (!isFresh(certificatePath) || !existsSync(privateKeyPath)) {
    await execOk([
      "openssl",
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-days", String(lifeDays), "-subj", `/CN=${domain}`],
      ...["-addext", `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`],
      ...["-keyout", `${privateKeyPath}.new`, "-out", `${certificatePath}.new`],
    ]);
    renameSync(`${privateKeyPath}.new`, privateKeyPath);
    renameSync(`${certificatePath}.new`, certificatePath);
  }
  return { hosts: [domain, `*.${domain}`], certificatePath, privateKeyPath };
}

function isFresh(certificatePath: string): boolean {
  if (!existsSync(certificatePath)) return false;
  const { validTo } = new X509Certificate(readFileSync(certificatePath));
  return Date.parse(validTo) - Date.now() > renewBeforeMs;
}
