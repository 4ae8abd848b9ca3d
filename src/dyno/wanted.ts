import type { Dyno } from "../model/dyno.ts";
import { type Formation, releaseType } from "../model/formation.ts";

/** A dyno that is wanted: its name, `web.1`, in parts, and its size. */
export type Wanted = Pick<Dyno, "type" | "number" | "size">;

/** The dynos that a formation asks for. Pure. */
export function wantedDynos(formation: Formation[]): Wanted[] {
  return formation
    .filter(({ type }) => type !== releaseType)
    .flatMap(({ type, quantity, size }) =>
      Array.from({ length: quantity }, (_, index) => ({ type, number: index + 1, size })),
    );
}

/** Whether a crashed dyno has waited for long enough. */
export function isDue({ retryAt }: Dyno, now = Date.now()): boolean {
  return retryAt === null || retryAt.getTime() <= now;
}
