import { existsSync, readFileSync } from "node:fs";
import { exec, execOk } from "../lib/exec.ts";

/** All addresses of containers, of every server of the machine. */
export const containerRange = "198.18.0.0/15";

/** What root of the host may reach of a container. */
export interface OpenDoor {
  address: string;
  port: number;
}

export interface Firewall {
  open(owner: string, door: OpenDoor): Promise<void>;
  close(owner: string): Promise<void>;
  /** Compares the kernel's table with what was put there, and puts it again when it differs. */
  reconcile(openPorts: number[]): Promise<void>;
  remove(): Promise<void>;
}

/** One table of the kernel's firewall; doors are opened and closed many at a time. */
export function createFirewall(instance: string): Firewall {
  const table = `stator_${instance}`;
  const doors = new Map<string, string>();
  let routerPorts: number[] = [];
  /** The doors that the kernel has, and its listing of our rules; unknown until they are put. */
  let known = { doors: new Set<string>(), rules: null as string | null };

  /** Some kernels cannot count; they do without that one rule. */
  let maxFlows: number | null = shareOfFlows();
  async function putAll(): Promise<void> {
    const wanted = new Set(doors.values());
    const rules = () =>
      firewallRules({ table, instance, routerPorts, maxFlows, doors: [...wanted] });
    const put = await exec(["nft", "-f", "-"], { stdin: rules() });
    if (put.exitCode !== 0) {
      maxFlows = null;
      await execOk(["nft", "-f", "-"], { stdin: rules() });
    }
    known = { doors: wanted, rules: (await listing())?.rules ?? null };
  }

  async function putDoors(): Promise<void> {
    const wanted = new Set(doors.values());
    const commands = [
      ...doorCommand("delete", table, known.doors.difference(wanted)),
      ...doorCommand("add", table, wanted.difference(known.doors)),
    ];
    if (commands.length === 0) return;
    const put = await exec(["nft", "-f", "-"], { stdin: commands.join("") });
    // Somebody has changed the table meanwhile.
    if (put.exitCode !== 0) return putAll();
    known.doors = wanted;
  }

  async function listing(): Promise<{ rules: string; doors: Set<string> } | null> {
    const listed = await exec(["nft", "--stateless", "list", "table", "inet", table]);
    return listed.exitCode === 0 ? readListing(listed.stdout) : null;
  }

  async function compare(): Promise<void> {
    const found = await listing();
    if (!found || found.rules !== known.rules) return putAll();
    known.doors = found.doors;
    await putDoors();
  }

  const inOrder = oneAtATime();
  const putSoon = coalesced(() => inOrder(() => (known.rules === null ? putAll() : putDoors())));
  return {
    async open(owner, { address, port }) {
      doors.set(owner, `${address} . ${port}`);
      await putSoon();
    },
    async close(owner) {
      if (doors.delete(owner)) await putSoon();
    },
    reconcile: (openPorts) =>
      inOrder(async () => {
        const same = openPorts.join() === routerPorts.join();
        routerPorts = openPorts;
        await (same && known.rules !== null ? compare() : putAll());
      }),
    async remove() {
      await inOrder(() => exec(["nft", "delete", "table", "inet", table]));
      known = { doors: new Set(), rules: null };
    },
  };
}

/** The kernel follows so many connections at once: no container takes more than an eighth of them. */
function shareOfFlows(): number {
  const path = "/proc/sys/net/netfilter/nf_conntrack_max";
  const all = existsSync(path) ? Number(readFileSync(path, "utf8")) : 65_536;
  return Math.max(1024, Math.floor(all / 8));
}

function doorCommand(verb: "add" | "delete", table: string, doors: Set<string>): string[] {
  return doors.size > 0
    ? [`${verb} element inet ${table} open { ${[...doors].join(", ")} }\n`]
    : [];
}

/** Takes a listing apart: the rules, and what is in the set of doors. Pure. */
export function readListing(text: string): { rules: string; doors: Set<string> } {
  return {
    rules: text.replaceAll(/^\s*elements = \{[^}]*\}\n/gm, ""),
    doors: new Set(text.match(/\d+\.\d+\.\d+\.\d+ \. \d+/g)),
  };
}

function oneAtATime() {
  let last: Promise<unknown> = Promise.resolve();
  return <Result>(act: () => Promise<Result>): Promise<Result> => {
    const result = last.then(act, act);
    last = result;
    return result;
  };
}

/** Requests that come while one is under way share the next one. */
function coalesced(act: () => Promise<void>): () => Promise<void> {
  let next: Promise<void> | null = null;
  let current: Promise<unknown> = Promise.resolve();
  return () => {
    next ??= current
      .catch(() => {})
      .then(() => {
        next = null;
        const acting = act();
        current = acting;
        return acting;
      });
    return next;
  };
}

/**
 * The firewall of one server, as a script that replaces the old table at once.
 * - A container reaches the internet and the router's own ports; not the host, not its neighbours,
 *   not link-local services. It has no address of IPv6, and none of its packets of that kind passes.
 * - It cannot use up the kernel's memory of connections, without which nobody gets a new one.
 * - A container is reached by root of the host (which is the router) at its open port, and by nobody else.
 * - What is for a container that is gone is refused at once: without its link it would leave the machine,
 *   to whoever has that address there.
 */
export function firewallRules(options: {
  table: string;
  instance: string;
  routerPorts: number[];
  /** `null`: the kernel cannot count them. */
  maxFlows: number | null;
  doors: string[];
}): string {
  const { table, instance, routerPorts, maxFlows, doors } = options;
  const ours = `"st${instance}-*"`;
  const toRouter =
    routerPorts.length > 0 ? `iifname ${ours} tcp dport { ${routerPorts.join(", ")} } accept` : "";
  const gone = `ip daddr ${containerRange} oifname != "lo" oifname != "st*"`;
  const elements = doors.length > 0 ? `elements = { ${doors.join(", ")} }` : "";
  const [flows, held] =
    maxFlows === null
      ? ["", ""]
      : [
          "set flows { type ipv4_addr; size 65535; flags dynamic; }",
          `iifname ${ours} ct state new add @flows { ip saddr ct count over ${maxFlows} } drop`,
        ];
  return `add table inet ${table}
delete table inet ${table}
table inet ${table} {
  set open {
    type ipv4_addr . inet_service
    ${elements}
  }
  ${flows}
  chain prerouting {
    type filter hook prerouting priority -150; policy accept;
    iifname ${ours} meta nfproto ipv6 drop
    iifname ${ours} fib saddr . iif oif missing drop
    ${held}
  }
  chain input {
    type filter hook input priority 0; policy accept;
    iifname ${ours} ct state established,related accept
    ${toRouter}
    iifname ${ours} drop
  }
  chain output {
    type filter hook output priority 0; policy accept;
    oifname ${ours} meta nfproto ipv6 drop
    oifname ${ours} ct state established,related accept
    oifname ${ours} meta skuid 0 ip daddr . tcp dport @open accept
    oifname ${ours} drop
    ${gone} meta l4proto tcp reject with tcp reset
    ${gone} drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    oifname ${ours} ct state established,related accept
    oifname ${ours} drop
    iifname ${ours} ip daddr { ${containerRange}, 169.254.0.0/16 } drop
    iifname ${ours} accept
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ip saddr ${containerRange} oifname != ${ours} masquerade
  }
}
`;
}
