import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec, execOk } from "../lib/exec.ts";
import type { NetworkAddress } from "./runtime.ts";

/**
 * Each container has its own link to the host: a /30 of 198.18.0.0/15, a range that no provider,
 * VPN or container engine uses. Nothing is bridged, so no container sees another one's frames.
 */
const range = { first: (198 << 24) | (18 << 16), slots: 32_768, cidr: "198.18.0.0/15" };

/** Called by the runtime when the container's namespaces exist; its state comes by standard input. */
export const networkHookScript = `# Connects a new network namespace: sh network-hook INTERFACE HOST_ADDRESS CONTAINER_ADDRESS
set -eu
pid=$(sed -n 's/.*"pid": *\\([0-9][0-9]*\\).*/\\1/p' | head -n 1)
ip link add name "$1" type veth peer name eth0 netns "$pid"
ip -batch - <<END
address add $2/30 dev $1
link set $1 up
END
nsenter --net="/proc/$pid/ns/net" ip -batch - <<END
link set lo up
address add $3/30 dev eth0
link set eth0 up
route add default via $2
END
`;

export interface Network {
  /** Reserves a free link for a container, on the whole machine, also against other servers. */
  reserve(owner: string): NetworkAddress;
  addressOf(owner: string): NetworkAddress | undefined;
  release(owner: string): void;
  /** Makes forwarding and the firewall's table as they must be; cheap when they are. */
  reconcile(options: { openPorts: number[] }): Promise<void>;
  /** Removes the table. */
  remove(): Promise<void>;
}

/** `instance` is the four hex digits that tell this server's things from another one's. */
export function createNetwork(instance: string, addressesDir: string): Network {
  mkdirSync(addressesDir, { recursive: true, mode: 0o700 });
  const table = `stator_${instance}`;
  const slots = new Map<string, number>();
  for (const name of readdirSync(addressesDir)) {
    const [ownerInstance, owner] = readFileSync(join(addressesDir, name), "utf8").split(" ");
    if (ownerInstance === instance && owner) slots.set(owner, Number(name));
  }
  let next = Math.floor(Math.random() * range.slots);
  let rulesFor = "";

  return {
    reserve(owner) {
      for (let tries = 0; tries < range.slots; tries++) {
        next = (next + 1) % range.slots;
        try {
          writeFileSync(join(addressesDir, String(next)), `${instance} ${owner}`, { flag: "wx" });
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
          throw error;
        }
        slots.set(owner, next);
        return networkAddress(instance, next);
      }
      throw new Error(`all ${range.slots} addresses of ${range.cidr} are taken`);
    },
    addressOf(owner) {
      const slot = slots.get(owner);
      return slot === undefined ? undefined : networkAddress(instance, slot);
    },
    release(owner) {
      const slot = slots.get(owner);
      if (slot === undefined) return;
      slots.delete(owner);
      rmSync(join(addressesDir, String(slot)), { force: true });
    },
    async reconcile({ openPorts }) {
      const forwarding = "/proc/sys/net/ipv4/ip_forward";
      if (readFileSync(forwarding, "utf8").trim() !== "1") writeFileSync(forwarding, "1");
      const rules = firewallRules({ table, instance, openPorts });
      const there = (await exec(["nft", "list", "table", "inet", table])).exitCode === 0;
      if (there && rules === rulesFor) return;
      await execOk(["nft", "-f", "-"], { stdin: rules });
      rulesFor = rules;
    },
    async remove() {
      await exec(["nft", "delete", "table", "inet", table]);
    },
  };
}

/** The addresses of one slot. Pure. */
export function networkAddress(instance: string, slot: number): NetworkAddress {
  return {
    slot,
    interfaceName: `st${instance}-${slot.toString(36)}`,
    hostAddress: dotted(range.first + slot * 4 + 1),
    containerAddress: dotted(range.first + slot * 4 + 2),
  };
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/**
 * The firewall of one server, as a script that replaces the old table at once. A container reaches
 * the internet and the router's own ports; not the host, not its neighbours, not link-local services.
 */
export function firewallRules(options: {
  table: string;
  instance: string;
  openPorts: number[];
}): string {
  const { table, instance, openPorts } = options;
  const ours = `"st${instance}-*"`;
  const open = openPorts.length > 0 ? `tcp dport { ${openPorts.join(", ")} } accept` : "";
  return `add table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain prerouting {
    type filter hook prerouting priority -150; policy accept;
    iifname ${ours} fib saddr . iif oif missing drop
  }
  chain input {
    type filter hook input priority 0; policy accept;
    iifname ${ours} ct state established,related accept
    iifname ${ours} ${open || "drop"}
    iifname ${ours} drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    oifname ${ours} ct state established,related accept
    oifname ${ours} drop
    iifname ${ours} ip daddr { ${range.cidr}, 169.254.0.0/16 } drop
    iifname ${ours} accept
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ip saddr ${range.cidr} oifname != "st*" masquerade
  }
}
`;
}
