import type { Argv } from "../../src/lib/exec.ts";

/** A command that waits while another file of tests runs such a one: the caches of these programs have no lock. */
export function oneAtATime(...argv: Argv): Argv {
  return ["flock", "/run/lock/stator-tests", ...argv];
}
