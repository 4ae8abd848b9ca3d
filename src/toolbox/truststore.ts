import { createHash, X509Certificate } from "node:crypto";
import { ToolFailure } from "./tool-failure.ts";

const certificate = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * The certificates of a PEM bundle as a Java keystore, which the JVM reads instead of SSL_CERT_FILE.
 * JKS: a head, one entry a certificate, and a checksum salted with the password. Every Java since 1.2 reads it.
 */
export function javaTruststore(pem: string): Buffer {
  const entries = (pem.match(certificate) ?? []).flatMap(readable);
  if (entries.length === 0) throw new ToolFailure("There is no certificate in this file.");
  const store = Buffer.concat([
    numbers(0xfeedfeed, 2, entries.length),
    ...entries.flatMap((der, index) => [
      // A certificate that is trusted, of the year 1970.
      numbers(2),
      text(`certificate-${index}`),
      numbers(0, 0),
      text("X.509"),
      numbers(der.length),
      der,
    ]),
  ]);
  const salt = Buffer.from("changeit", "utf16le").swap16();
  const sum = createHash("sha1").update(salt).update("Mighty Aphrodite").update(store).digest();
  return Buffer.concat([store, sum]);
}

/** One that cannot be read is left out: a single bad one must not cut off all builds. */
function readable(pem: string): Buffer[] {
  try {
    return [new X509Certificate(pem).raw];
  } catch {
    return [];
  }
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
}

function text(value: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(value.length);
  return Buffer.concat([length, Buffer.from(value)]);
}
