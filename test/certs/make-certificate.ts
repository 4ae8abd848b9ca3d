import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";

export interface MadeCertificate {
  certificate: string;
  privateKey: string;
}

/** A certificate made by openssl: of its own, or signed by another that was made here. */
export async function makeCertificate(
  names: string[],
  options: { signedBy?: MadeCertificate; isAuthority?: boolean; days?: number } = {},
): Promise<MadeCertificate> {
  const dir = await mkdtemp(join(tmpdir(), "stator-certificate-"));
  try {
    const { signedBy, isAuthority = false, days = 30 } = options;
    if (signedBy) {
      await Bun.write(join(dir, "ca.pem"), signedBy.certificate);
      await Bun.write(join(dir, "ca.key"), signedBy.privateKey);
    }
    const subject = names[0] ?? "nameless";
    await execOk([
      "openssl",
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-days", String(days), "-subj", `/CN=${isAuthority ? `authority ${subject}` : subject}`],
      ...["-addext", `basicConstraints=critical,CA:${String(isAuthority).toUpperCase()}`],
      ...(names.length === 0
        ? []
        : ["-addext", `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`]),
      ...(signedBy ? ["-CA", join(dir, "ca.pem"), "-CAkey", join(dir, "ca.key")] : []),
      ...["-keyout", join(dir, "key.pem"), "-out", join(dir, "cert.pem")],
    ]);
    return {
      certificate: await readFile(join(dir, "cert.pem"), "utf8"),
      privateKey: await readFile(join(dir, "key.pem"), "utf8"),
    };
  } finally {
    await rm(dir, { recursive: true });
  }
}
