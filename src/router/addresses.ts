import { isIP } from "node:net";

interface Address {
  bits: 32 | 128;
  value: bigint;
}

/** An address as a number of so many bits; IPv4 inside IPv6 is IPv4. Nothing when it is none. */
function readAddress(address: string): Address | undefined {
  if (isIP(address) === 4) return { bits: 32, value: readIpv4(address) };
  if (isIP(address) !== 6 || address.includes("%")) return undefined;
  const value = readIpv6(address);
  return value >> 32n === 0xffffn
    ? { bits: 32, value: value & 0xffff_ffffn }
    : { bits: 128, value };
}

function readIpv4(address: string): bigint {
  return address.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

function readIpv6(address: string): bigint {
  const withoutDots = address.replace(/[\d.]+\.\d+$/, (dotted) => {
    const value = readIpv4(dotted);
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
  const [before = "", after] = withoutDots.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const head = groups(before);
  const tail = after === undefined ? [] : groups(after);
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  return [...head, ...zeros, ...tail].reduce(
    (sum, group) => (sum << 16n) | BigInt(`0x${group}`),
    0n,
  );
}

export interface AddressRange extends Address {
  /** How many bits all addresses of the range begin with; `value` is these bits. */
  prefix: number;
}

/** Reads `192.0.2.0/24`, `2001:db8::/32` or a single address; nothing when it is none of them. */
export function readRange(text: string): AddressRange | undefined {
  const [address = "", length, ...more] = text.split("/");
  const read = readAddress(address);
  if (read === undefined || more.length > 0) return undefined;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined;
  const prefix = length === undefined ? read.bits : Number(length);
  if (prefix > read.bits) return undefined;
  return { bits: read.bits, prefix, value: read.value >> BigInt(read.bits - prefix) };
}

/** Whether an address lies in one of the ranges; one that can't be read lies in none. */
export function isInRanges(text: string, ranges: readonly AddressRange[]): boolean {
  const address = readAddress(text);
  if (address === undefined) return false;
  return ranges.some(
    ({ bits, prefix, value }) =>
      bits === address.bits && address.value >> BigInt(bits - prefix) === value,
  );
}

/** Not on the public internet (IANA's special-purpose registries), or a way back into IPv4. */
const notPublic = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"],
  ...["172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"],
  ...["198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"],
  ...["::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32"],
  ...["2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/9", "ff00::/8"],
].flatMap((range) => readRange(range) ?? []);

/** Whether an address is one of the public internet: not this machine's, not its network's. */
export function isPublicAddress(address: string): boolean {
  return readAddress(address) !== undefined && !isInRanges(address, notPublic);
}
