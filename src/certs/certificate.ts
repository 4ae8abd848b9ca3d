import { createPrivateKey, X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { PlatformError } from "../lib/platform-error.ts";

/** A certificate with its key that was found to be in order. */
export interface CheckedCertificate {
  /** Leaf first, then each issuer of the one before, in PEM. */
  certificateChain: string;
  privateKey: string;
  /** Lower-case names; some may begin with `*.`. */
  names: string[];
  issuer: string;
  subject: string;
  selfSigned: boolean;
  /** One of the authorities that programs know has signed the end of the chain. */
  trusted: boolean;
  notBeforeMs: number;
  notAfterMs: number;
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const maxPemBytes = 256 * 1_024;

/**
 * Checks a certificate that someone brings (`certs:add`): that it can be read, has the key that
 * comes with it, is in its time, has names, and that each certificate of the chain is signed by the
 * next. The chain may come in any order. Throws a PlatformError that says what is wrong.
 */
export function checkCertificate(
  certificateChain: string,
  privateKey: string,
  nowMs: number = Date.now(),
): CheckedCertificate {
  const certificates = readChain(certificateChain);
  const key = readKey(privateKey);
  const leaf = certificates.find((certificate) => certificate.checkPrivateKey(key));
  if (leaf === undefined)
    throw invalid("The private key does not belong to any certificate of the chain");
  const chain = orderChain(leaf, certificates);
  const names = namesOf(leaf);
  if (names.length === 0)
    throw invalid("The certificate names no host: it has no DNS name as subject alternative name");
  const [notBeforeMs, notAfterMs] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
  if (nowMs < notBeforeMs) throw invalid(`The certificate is not valid before ${leaf.validFrom}`);
  for (const { validTo, subject } of chain)
    if (nowMs > Date.parse(validTo))
      throw invalid(`The certificate of ${oneLine(subject)} expired on ${validTo}: renew it`);
  return {
    certificateChain: chain.map((certificate) => certificate.toString().trim()).join("\n") + "\n",
    privateKey: key.export({ type: "pkcs8", format: "pem" }).toString(),
    names,
    issuer: oneLine(leaf.issuer),
    subject: oneLine(leaf.subject),
    selfSigned: leaf.checkIssued(leaf) && leaf.verify(leaf.publicKey),
    trusted: isSignedByRoot(chain.at(-1)!),
    notBeforeMs,
    notAfterMs,
  };
}

function readChain(text: string): X509Certificate[] {
  if (text.length > maxPemBytes)
    throw invalid(`The certificate chain is longer than ${maxPemBytes} bytes`);
  const blocks = text.match(pemCertificate) ?? [];
  if (blocks.length === 0)
    throw invalid("No certificate found: give a file in PEM, with BEGIN CERTIFICATE in it");
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw invalid(`Certificate ${index + 1} of the chain can't be read`);
    }
  });
}

function readKey(text: string) {
  if (/ENCRYPTED/.test(text))
    throw invalid("The private key is encrypted: decrypt it first (openssl pkey -in FILE)");
  try {
    return createPrivateKey(text);
  } catch {
    throw invalid("The private key can't be read: give a file in PEM, with PRIVATE KEY in it");
  }
}

/** From the leaf up to where no issuer is given; a certificate that has no place there is an error. */
function orderChain(leaf: X509Certificate, all: X509Certificate[]): X509Certificate[] {
  const chain = [leaf];
  const left = all.filter(({ fingerprint256 }) => fingerprint256 !== leaf.fingerprint256);
  for (let last = leaf; left.length > 0;) {
    const at = left.findIndex((other) => last.checkIssued(other) && last.verify(other.publicKey));
    const [issuer] = at === -1 ? [] : left.splice(at, 1);
    if (issuer === undefined)
      throw invalid(
        `${oneLine(left[0]!.subject)} did not sign ${oneLine(last.subject)}: the chain is broken`,
      );
    chain.push(issuer);
    last = issuer;
  }
  return chain;
}

function isSignedByRoot(last: X509Certificate): boolean {
  return rootCertificates.some((text) => {
    const root = new X509Certificate(text);
    if (root.fingerprint256 === last.fingerprint256) return true;
    return last.checkIssued(root) && last.verify(root.publicKey);
  });
}

function namesOf(certificate: X509Certificate): string[] {
  const names = [...(certificate.subjectAltName ?? "").matchAll(/(?:^|, )DNS:([^,"]+)/g)];
  return [...new Set(names.map(([, name = ""]) => name.trim().toLowerCase()))];
}

/** Whether one of a certificate's names is good for a host; a wildcard is for one label (RFC 6125). */
export function coversHost(names: readonly string[], host: string): boolean {
  const wild = host.replace(/^[^.]+/, "*");
  return names.includes(host) || (wild !== host && names.includes(wild));
}

function oneLine(name: string): string {
  return name.replaceAll("\n", ", ");
}

function invalid(message: string): PlatformError {
  return new PlatformError("invalid_params", message);
}
