import { execOk } from "../../src/lib/exec.ts";

const wires = Array.from({ length: 62 }, (_, index) => 4 * (index + 1));
const files = 8;

/**
 * Both ends of a wire that no other file of tests has at the same time (RFC 5737: for documents).
 * Of files that run at once each chooses among others: one sees the other's only when it is up.
 */
export async function freeWire(): Promise<[here: string, there: string]> {
  const taken = await execOk(["ip", "-oneline", "address"]);
  const own = Number(process.env.BUN_TEST_WORKER_ID ?? 0) % files;
  const free = wires.filter(
    (base, index) => index % files === own && !taken.includes(` 198.51.100.${base + 1}/30 `),
  );
  const base = free[Math.floor(Math.random() * free.length)];
  if (base === undefined) throw new Error("every wire to another machine is taken");
  return [`198.51.100.${base + 1}`, `198.51.100.${base + 2}`];
}
