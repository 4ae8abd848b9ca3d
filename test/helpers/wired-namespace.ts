import { existsSync, rmSync } from "node:fs";
import { exec, execOk } from "../../src/lib/exec.ts";

const wires = Array.from({ length: 62 }, (_, index) => 4 * (index + 1));
const files = 8;

/** A network namespace that stands for another machine. */
export interface WiredNamespace {
  namespace: string;
  /** This machine's end of the wire. */
  link: string;
  /** This machine, as it is seen there. */
  here: string;
  /** The other one, as it is seen here. */
  there: string;
  /** Settings of its own, as `ip netns exec` shows them there (`hosts`). */
  etc: string;
  remove(this: void): Promise<void>;
}

/**
 * Makes a network namespace with a wire to this machine, and nothing else of a network. What tests that
 * were killed have left of theirs is removed first.
 */
export async function wiredNamespace(
  ends?: [here: string, there: string],
): Promise<WiredNamespace> {
  await sweepNamespaces();
  const [here, there] = ends ?? (await freeWire());
  const label = crypto.randomUUID().slice(0, 8);
  // The process says whether the test is still there.
  const [namespace, link] = [`stator-test-${process.pid}-${label}`, `test${label}`];
  await execOk(["ip", "netns", "add", namespace]);
  const peer = ["type", "veth", "peer", "name", "eth0", "netns", namespace] as const;
  await execOk(["ip", "link", "add", link, ...peer]);
  await execOk(["ip", "address", "add", `${here}/30`, "dev", link]);
  await execOk(["ip", "link", "set", link, "up"]);
  await execOk(["ip", "-n", namespace, "address", "add", `${there}/30`, "dev", "eth0"]);
  await execOk(["ip", "-n", namespace, "link", "set", "eth0", "up"]);
  await execOk(["ip", "-n", namespace, "link", "set", "lo", "up"]);
  const remove = async () => {
    // Also while a program is still in it.
    await execOk(["ip", "link", "delete", link]);
    await removeNamespace(namespace);
  };
  return { namespace, link, here, there, etc: etcOf(namespace), remove };
}

const etcOf = (namespace: string) => `/etc/netns/${namespace}`;

async function removeNamespace(namespace: string): Promise<void> {
  await execOk(["ip", "netns", "delete", namespace]);
  rmSync(etcOf(namespace), { recursive: true, force: true });
}

/** Removes those of tests that were killed, and could not do so themselves. */
export async function sweepNamespaces(): Promise<void> {
  const { stdout } = await exec(["ip", "netns", "list"]);
  for (const [namespace, pid] of stdout.matchAll(/^stator-test-(\d+)-\w+/gm))
    // Another test may do the same at this moment.
    if (!existsSync(`/proc/${pid}`)) await removeNamespace(namespace).catch(() => {});
}

/**
 * Both ends of a wire that no other file of tests has at the same time (RFC 5737: for documents).
 * Of files that run at once each chooses among others: one sees the other's only when it is up.
 */
async function freeWire(): Promise<[here: string, there: string]> {
  const taken = await execOk(["ip", "-oneline", "address"]);
  const own = Number(process.env.BUN_TEST_WORKER_ID ?? 0) % files;
  const free = wires.filter(
    (base, index) => index % files === own && !taken.includes(` 198.51.100.${base + 1}/30 `),
  );
  const base = free[Math.floor(Math.random() * free.length)];
  if (base === undefined) throw new Error("every wire to another machine is taken");
  return [`198.51.100.${base + 1}`, `198.51.100.${base + 2}`];
}
