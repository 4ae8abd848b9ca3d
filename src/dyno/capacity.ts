import { PlatformError } from "../lib/platform-error.ts";
import type { DynoSize } from "../model/dyno-size.ts";

/** Dynos that are wanted, of one size. */
export interface Demand {
  /** `web=3` in messages. */
  label: string;
  size: DynoSize;
  quantity: number;
}

/** An idle app takes about so much of its size; a shared dyno counts with this part of its memory. */
const sharedPart = 1 / 8;
const mebibyte = 1024 * 1024;

/** What dynos count for on a machine, in bytes. Pure. */
export function promisedBytes(demands: Pick<Demand, "size" | "quantity">[]): number {
  return demands.reduce((sum, { size, quantity }) => sum + quantity * countedBytes(size), 0);
}

function countedBytes(size: DynoSize): number {
  return size.memoryBytes * (size.dedicated ? 1 : sharedPart);
}

/**
 * Refuses dynos that the machine cannot hold, with the numbers: `wanted` is an app's whole new
 * formation, `promised` what all other dynos count for. Pure.
 */
export function checkCapacity(
  machineBytes: number,
  { wanted, promised }: { wanted: Demand[]; promised: number },
): void {
  for (const { label, size, quantity } of wanted)
    if (quantity > 0 && size.memoryBytes > machineBytes)
      throw new PlatformError(
        "invalid_params",
        `Cannot run ${label} as ${size.name}: one needs ${megabytes(size.memoryBytes)}, this machine has ${megabytes(machineBytes)}. Choose a smaller size.`,
      );
  const needed = promisedBytes(wanted);
  if (promised + needed <= machineBytes) return;
  const list = wanted
    .filter(({ quantity }) => quantity > 0)
    .map(({ label, size }) => `${label} of ${size.name} at ${megabytes(countedBytes(size))} each`)
    .join(", ");
  throw new PlatformError(
    "invalid_params",
    `Cannot run ${list}: that is ${megabytes(needed)} of memory, this machine has ${megabytes(machineBytes)}, and ${megabytes(promised)} are promised to other dynos. Scale to fewer, or choose a smaller size.`,
  );
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / mebibyte)} MB`;
}
