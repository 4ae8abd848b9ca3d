import type { Resolver } from "node:dns/promises";
import { exec, type Argv } from "../lib/exec.ts";
import type { ChallengeResponder } from "./acme-order.ts";

const hookTimeoutMs = 300_000;
const visibleTimeoutMs = 120_000;

/**
 * DNS-01 by a command of the operator: `COMMAND present NAME VALUE` adds the TXT record, `COMMAND
 * remove NAME VALUE` takes it away; it has its credentials from its own files. Then the record is
 * waited for, as far as the resolver here can see it.
 */
export function dnsResponder(
  command: Argv,
  options: { resolver: Resolver; visibleMs?: number | undefined },
): ChallengeResponder {
  const run = async (verb: "present" | "remove", host: string, value: string) => {
    const name = `_acme-challenge.${host.replace(/^\*\./, "")}`;
    const { exitCode, stdout, stderr } = await exec([...command, verb, name, value], {
      signal: AbortSignal.timeout(hookTimeoutMs),
    });
    if (exitCode !== 0)
      throw new Error(
        `The DNS hook ${command[0]} ended with ${exitCode} at "${verb} ${name}": ${(stderr || stdout).trim().slice(0, 500)}`,
      );
    return name;
  };
  return {
    kind: "dns-01",
    async present({ host, value }) {
      const name = await run("present", host, value);
      const untilMs = performance.now() + (options.visibleMs ?? visibleTimeoutMs);
      while (performance.now() < untilMs) {
        const found = await options.resolver.resolveTxt(name).catch(() => []);
        if (found.some((parts) => parts.join("") === value)) return;
        await Bun.sleep(250);
      }
      // Perhaps only the resolver here does not see it: the CA has the last word.
    },
    async remove({ host, value }) {
      await run("remove", host, value);
    },
  };
}
