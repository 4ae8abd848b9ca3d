import type { Argv } from "./exec.ts";

/** Wraps a command so that it runs with one app's own ids and can touch nothing else's files. */
export function asUser(id: number, argv: Argv): Argv {
  if (id === process.getuid?.()) return argv;
  return [
    "setpriv",
    ...["--reuid", String(id), "--regid", String(id), "--clear-groups", "--no-new-privs", "--"],
    ...argv,
  ];
}
