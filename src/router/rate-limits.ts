import { linkSync, statSync, unlinkSync, writeFileSync } from "node:fs";

/** So many requests in so many milliseconds; `burst` (the same number, usually) may come at once. */
export interface RateLimit {
  requests: number;
  perMs: number;
  burst?: number | undefined;
}

/**
 * Whether one more request fits, by the generic cell rate algorithm: one number, the time at which
 * the requests so far would have come at an even pace, is all that has to be remembered.
 */
export function decideRate(
  paceMs: number,
  limit: RateLimit,
  nowMs: number,
): { granted: true; paceMs: number } | { granted: false; retryAfterMs: number } {
  const intervalMs = limit.perMs / limit.requests;
  const nextMs = Math.max(paceMs, nowMs) + intervalMs;
  const aheadMs = nextMs - nowMs - (limit.burst ?? limit.requests) * intervalMs;
  // A rounding error must not cost the last request of a burst.
  return aheadMs > 1e-3
    ? { granted: false, retryAfterMs: aheadMs }
    : { granted: true, paceMs: nextMs };
}

export interface RateLimits {
  /** Counts a request; 0, or the milliseconds after which it may come again. */
  take(key: string, limit: RateLimit): number;
}

const slots = 1 << 16;
const slotsTried = 4;
/** A slot is a key's hash and its pace; the slot before the first keeps the secret of the hash. */
const fileBytes = (slots + 1) * 16;

/**
 * Limits that all workers of a folder share, by a file in memory of constant size: no worker asks
 * another, and two that write at the same moment let one request too many in, no more. When more
 * clients come than there is room for, the one that was heard of least lately is forgotten.
 */
export function createRateLimits(path: string): RateLimits {
  let numbers: Float64Array | undefined;
  let secret = 0n;

  function open(): Float64Array {
    makeFile(path);
    const bytes = Bun.mmap(path, { shared: true });
    const opened = new Float64Array(bytes.buffer, bytes.byteOffset, fileBytes / 8);
    secret = BigInt(opened[0]!);
    return opened;
  }

  /** Where a key's hash stands in the file, or may stand. */
  function find(table: Float64Array, hash: number): number {
    let oldest = 0;
    for (let tried = 0; tried < slotsTried; tried++) {
      const at = (1 + ((hash + tried) % slots)) * 2;
      if (table[at] === hash) return at;
      if (oldest === 0 || table[at + 1]! < table[oldest + 1]!) oldest = at;
    }
    table[oldest] = hash;
    table[oldest + 1] = 0;
    return oldest;
  }

  return {
    take(key, limit) {
      const table = (numbers ??= open());
      const hash = Number(BigInt(Bun.hash.wyhash(key, secret)) & 0x1f_ffff_ffff_ffffn);
      const at = find(table, hash);
      const decision = decideRate(table[at + 1]!, limit, Date.now());
      if (!decision.granted) return decision.retryAfterMs;
      table[at + 1] = decision.paceMs;
      return 0;
    },
  };
}

/** Makes the file whole or not at all; of several workers that do so at once, one wins. */
function makeFile(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.size === fileBytes) return;
  const numbers = new Float64Array(fileBytes / 8);
  numbers[0] = crypto.getRandomValues(new Uint32Array(1))[0]!;
  const made = `${path}.${crypto.randomUUID()}`;
  writeFileSync(made, new Uint8Array(numbers.buffer), { mode: 0o600 });
  try {
    linkSync(made, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    unlinkSync(made);
  }
}

/** Who a client is for a limit: an IPv4 address, or the /64 that a household or a machine has. */
export function rateKeyOf(clientAddress: string): string {
  if (!clientAddress.includes(":")) return clientAddress;
  const [before = "", after] = clientAddress.split("::");
  const head = before.split(":");
  const missing = after === undefined ? 0 : 8 - head.length - after.split(":").length;
  const groups = [...head, ...Array.from({ length: Math.max(0, missing) }, () => "0")];
  return groups.slice(0, 4).join(":");
}
