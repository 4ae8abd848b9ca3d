import { execOk } from "../../src/lib/exec.ts";

/** Both ends of a wire that no other file of tests has at the same time (RFC 5737: for documents). */
export async function freeWire(): Promise<[here: string, there: string]> {
  const taken = await execOk(["ip", "-oneline", "address"]);
  const free = Array.from({ length: 62 }, (_, index) => 4 * (index + 1)).filter(
    (base) => !taken.includes(` 198.51.100.${base + 1}/30 `),
  );
  const base = free[Math.floor(Math.random() * free.length)];
  if (base === undefined) throw new Error("every wire to another machine is taken");
  return [`198.51.100.${base + 1}`, `198.51.100.${base + 2}`];
}
