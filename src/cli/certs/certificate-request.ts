import { existsSync } from "node:fs";
import { join } from "node:path";
import { exec, hostEnvironment } from "../../lib/exec.ts";
import { CommandFailure } from "../failures.ts";
import type { World } from "../world.ts";

/** Who a certificate is for, as its subject says. */
export interface CertificateOwner {
  country?: string | undefined;
  area?: string | undefined;
  city?: string | undefined;
  owner?: string | undefined;
}

/**
 * Has openssl make a new key here, that never leaves this machine, and a request for a certificate
 * (or a certificate that the key signs itself) for a domain; the names of both files. Takes no
 * file's place.
 */
export async function generateKey(
  world: World,
  domain: string,
  options: CertificateOwner & { selfsigned: boolean; subject?: string | undefined; bits: number },
): Promise<{ keyFile: string; outFile: string }> {
  if (!/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(domain))
    throw new CommandFailure(`${domain} is not a domain. Write it as www.example.com`);
  const base = domain.toLowerCase().replace("*", "wildcard");
  const [keyFile, outFile] = [`${base}.key`, `${base}.${options.selfsigned ? "crt" : "csr"}`];
  for (const file of [keyFile, outFile])
    if (existsSync(join(world.cwd, file)))
      throw new CommandFailure(`${file} is there already, and may be in use: move it away first.`);
  const { exitCode, stderr } = await exec(
    [
      ...(["openssl", "req", "-new", "-newkey", `rsa:${options.bits}`, "-nodes"] as const),
      ...[
        "-keyout",
        keyFile,
        "-out",
        outFile,
        "-subj",
        options.subject ?? subjectOf(domain, options),
      ],
      ...["-addext", `subjectAltName=DNS:${domain}`],
      ...(options.selfsigned ? ["-x509", "-days", "365"] : []),
    ],
    { cwd: world.cwd, env: { ...hostEnvironment, PATH: world.settings.path } },
  ).catch(() => ({ exitCode: 127, stderr: "openssl is not installed" }));
  if (exitCode !== 0) throw new CommandFailure(`No key could be made: ${stderr.trim()}`);
  return { keyFile, outFile };
}

/** `/C=DE/O=Example/CN=www.example.com`, as openssl reads it. */
function subjectOf(domain: string, { country, area, city, owner }: CertificateOwner): string {
  return Object.entries({ C: country, ST: area, L: city, O: owner, CN: domain })
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value = ""]) => `/${key}=${value.replaceAll(/[\\/+=]/g, "\\$&")}`)
    .join("");
}
