import type { Resolver } from "node:dns/promises";

/** What is asked before the CA is: a name that can't work must not use up the CA's limits. */
export type Precheck = { ok: true } | { ok: false; reason: string };

const probeTimeoutMs = 5_000;
const maxBodyBytes = 1_024;

/**
 * Whether a name leads to this router: asks each of its addresses, as the CA will, for something
 * that only this router knows. Says for each what is wrong.
 */
export async function pointsHere(
  host: string,
  options: {
    resolver: Resolver;
    port: number;
    token: string;
    value: string;
    /** Whether the CA may get to an address; the others are asked nothing, whoever named them. */
    isReachable: (address: string) => boolean;
  },
): Promise<Precheck> {
  const { resolver, isReachable } = options;
  const addresses = (
    await Promise.all([
      resolver.resolve4(host).catch(() => []),
      resolver.resolve6(host).catch(() => []),
    ])
  ).flat();
  if (addresses.length === 0)
    return { ok: false, reason: `${host} has no address: point its DNS record here` };
  const hidden = addresses.find((address) => !isReachable(address));
  if (hidden !== undefined)
    return {
      ok: false,
      reason: `${host} is at ${hidden}, which is no address of the public internet: point its DNS record here`,
    };
  const wrong = await Promise.all(addresses.map((address) => probe(host, address, options)));
  const reason = wrong.find((sentence) => sentence !== undefined);
  return reason === undefined ? { ok: true } : { ok: false, reason };
}

async function probe(
  host: string,
  address: string,
  { port, token, value }: { port: number; token: string; value: string },
): Promise<string | undefined> {
  const at = `${host} is at ${address}`;
  const bracketed = address.includes(":") ? `[${address}]` : address;
  try {
    const response = await fetch(`http://${bracketed}:${port}${challengePath}${token}`, {
      headers: { host },
      redirect: "manual",
      keepalive: false,
      signal: AbortSignal.timeout(probeTimeoutMs),
    });
    const text = await response.text();
    if (response.status === 200 && text.slice(0, maxBodyBytes) === value) return undefined;
    return `${at}, where another server answers (status ${response.status}): point its DNS record here`;
  } catch {
    return `${at}, where port ${port} can't be reached: open it, or point its DNS record here`;
  }
}

/** Where a CA looks for the answer to HTTP-01 (RFC 8555 §8.3). */
const challengePath = "/.well-known/acme-challenge/";

/**
 * Whether the name's CAA records (RFC 8659) let this CA sign: the closest name upwards that has any
 * decides. A CA that does not say who it is can't be checked, and is asked.
 */
export async function isAllowedByCaa(
  host: string,
  options: { resolver: Resolver; identities: readonly string[] },
): Promise<Precheck> {
  const { resolver, identities } = options;
  if (identities.length === 0) return { ok: true };
  const isWildcard = host.startsWith("*.");
  for (
    let name = host.replace(/^\*\./, "");
    name.includes(".");
    name = name.replace(/^[^.]+\./, "")
  ) {
    const records = await resolver.resolveCaa(name).catch(() => []);
    const issuers = (tag: "issue" | "issuewild") =>
      records.flatMap((record) => (record[tag] === undefined ? [] : [issuerOf(record[tag])]));
    const wild = isWildcard ? issuers("issuewild") : [];
    const allowed = wild.length > 0 ? wild : issuers("issue");
    if (allowed.some((issuer) => identities.includes(issuer))) return { ok: true };
    if (allowed.length > 0)
      return {
        ok: false,
        reason: `The CAA record of ${name} allows ${allowed.map((issuer) => issuer || "nobody").join(", ")}, not ${identities.join(" or ")}`,
      };
    if (records.length > 0) return { ok: true };
  }
  return { ok: true };
}

function issuerOf(value: string): string {
  return value.split(";")[0]!.trim().toLowerCase();
}
