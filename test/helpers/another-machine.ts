import { afterAll } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { type Argv, execOk } from "../../src/lib/exec.ts";
import { wiredNamespace } from "./wired-namespace.ts";

/**
 * Another machine for the file of tests that calls this (at its top): a network namespace with a
 * wire to this one, and nothing else of a network. It is gone after the last test.
 */
export async function anotherMachine() {
  const { namespace, here: host, etc, remove } = await wiredNamespace();
  afterAll(remove);
  const hosts = [`127.0.0.1 localhost`];
  const writeHosts = () => {
    mkdirSync(etc, { recursive: true });
    writeFileSync(`${etc}/hosts`, `${hosts.join("\n")}\n`);
  };
  return {
    /** This machine, as the other one sees it. */
    host,
    /** Makes names there mean this machine. */
    name(...names: string[]): void {
      hosts.push(`${host} ${names.join(" ")}`);
      writeHosts();
    },
    /** Makes names there mean a third machine, all of whose ports are one port of this machine. */
    async nameThird(port: number, ...names: string[]): Promise<void> {
      const third = "203.0.113.7";
      hosts.push(`${third} ${names.join(" ")}`);
      writeHosts();
      await execOk(["ip", "-n", namespace, "route", "add", third, "via", host]);
      const rules = `table ip third { chain out { type nat hook output priority -100; ip daddr ${third} tcp dport 1-65535 dnat to ${host}:${port}; }; }`;
      await execOk(["ip", "netns", "exec", namespace, "nft", rules]);
    },
    /** The command that runs `argv` there. */
    there: (argv: Argv): Argv => ["ip", "netns", "exec", namespace, ...argv],
  };
}
