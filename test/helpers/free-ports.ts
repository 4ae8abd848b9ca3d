import { freePort } from "../../src/lib/free-port.ts";

/** Different ports that nobody has, and that no connection of another test is given meanwhile. */
export function freePorts(count: number): number[] {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(freePort());
  return [...ports];
}
