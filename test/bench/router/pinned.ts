import { availableParallelism } from "node:os";

const last = availableParallelism() - 1;

/**
 * Where things run: what makes the load on the first processor, upstream and all, what is measured
 * on the last. So each router has one processor, and nobody else takes of it. Two workers get one
 * each, where there are enough.
 */
export const processors = {
  load: "0",
  router: String(last),
  "two workers": last >= 2 ? `${last - 1},${last}` : String(last),
};

export type Place = keyof typeof processors;

/** The command line that runs a program on its processor. */
export function pinned(place: Place, argv: string[]): string[] {
  return ["taskset", "--cpu-list", processors[place], ...argv];
}

/** What a program prints; throws when it fails. */
export async function output(argv: string[], options = { mayBeKilled: false }): Promise<string> {
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [said, complained] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const status = await child.exited;
  // 128 and the signal's number, which `timeout` sends to itself too.
  if (status !== 0 && !(options.mayBeKilled && status === 137))
    throw new Error(`${argv.join(" ")}: ${complained}${said}`);
  return said;
}
