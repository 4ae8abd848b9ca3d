import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../lib/exec.ts";
import { containerRange, createFirewall } from "./firewall.ts";
import { tryRead } from "./read-file.ts";
import type { NetworkAddress } from "./runtime.ts";

/**
 * Each container has its own link to the host: a /30 of 198.18.0.0/15, a range that no provider,
 * VPN or container engine uses. Nothing is bridged, so no container sees another one's frames.
 */
const range = { first: (198 << 24) | (18 << 16), slots: 32_768, cidr: containerRange };

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
  /** Lets root of the host reach one port of a container. */
  open(owner: string, port: number): Promise<void>;
  /** Closes what is open and gives the address back. */
  release(owner: string): Promise<void>;
  /** Repairs forwarding, the firewall's table and the containers' links; one process when they are whole. */
  reconcile(options: { openPorts: number[] }): Promise<void>;
  /** Removes the table. */
  remove(): Promise<void>;
}

export interface NetworkOptions {
  addressesDir: string;
  /** Where `networkHookScript` is. */
  networkHook: string;
  /** First process of a container that runs. */
  pidOf: (owner: string) => number | undefined;
}

/** `instance` is the four hex digits that tell this server's things from another one's. */
export function createNetwork(instance: string, options: NetworkOptions): Network {
  const { addressesDir, networkHook, pidOf } = options;
  mkdirSync(addressesDir, { recursive: true, mode: 0o700 });
  const slots = new Map<string, number>();
  for (const name of readdirSync(addressesDir)) {
    const [ownerInstance, owner] = tryRead(join(addressesDir, name)).split(" ");
    if (ownerInstance === instance && owner) slots.set(owner, Number(name));
  }
  let next = Math.floor(Math.random() * range.slots);
  const firewall = createFirewall(instance);

  function addressOf(owner: string): NetworkAddress | undefined {
    const slot = slots.get(owner);
    return slot === undefined ? undefined : networkAddress(instance, slot);
  }

  async function repairLinks(): Promise<void> {
    const hostRoutes = readRoutes("/proc/net/route");
    for (const owner of slots.keys()) {
      const [address, pid] = [addressOf(owner), pidOf(owner)];
      if (!address || !pid || isWhole(address, hostRoutes, readRoutes(`/proc/${pid}/net/route`)))
        continue;
      await exec(["ip", "link", "delete", address.interfaceName]);
      await exec(["nsenter", `--net=/proc/${pid}/ns/net`, "ip", "link", "delete", "eth0"]);
      const { interfaceName, hostAddress, containerAddress } = address;
      await exec(["sh", networkHook, interfaceName, hostAddress, containerAddress], {
        stdin: JSON.stringify({ pid }),
      });
    }
  }

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
    addressOf,
    async open(owner, port) {
      const address = addressOf(owner);
      if (!address) throw new Error(`${owner} has no address at which port ${port} could be open`);
      await firewall.open(owner, { address: address.containerAddress, port });
    },
    async release(owner) {
      await firewall.close(owner);
      const slot = slots.get(owner);
      if (slot === undefined) return;
      slots.delete(owner);
      rmSync(join(addressesDir, String(slot)), { force: true });
    },
    async reconcile({ openPorts }) {
      const forwarding = "/proc/sys/net/ipv4/ip_forward";
      if (readFileSync(forwarding, "utf8").trim() !== "1") writeFileSync(forwarding, "1");
      await firewall.reconcile(openPorts);
      await repairLinks();
    },
    remove: () => firewall.remove(),
  };
}

/** A row of the kernel's routing table, with its own little-endian hexadecimal words. */
interface Route {
  interfaceName: string;
  destination: string;
  gateway: string;
  mask: string;
}

function readRoutes(path: string): Route[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // The process has ended.
  }
  return text.split("\n").flatMap((line) => {
    const [interfaceName = "", destination = "", gateway = "", , , , , mask = ""] =
      line.split(/\s+/);
    return mask ? [{ interfaceName, destination, gateway, mask }] : [];
  });
}

/** Whether both ends are up, with their addresses and the way out; found without a process. */
function isWhole(address: NetworkAddress, host: Route[], inside: Route[]): boolean {
  const { interfaceName, hostAddress, slot } = address;
  const subnet = { destination: littleEndian(dotted(range.first + slot * 4)), mask: "FCFFFFFF" };
  const [none, gateway] = ["00000000", littleEndian(hostAddress)];
  const has = (routes: Route[], wanted: Partial<Route>) =>
    routes.some((route) => Object.entries(wanted).every(([key, is]) => route[key as never] === is));
  return (
    isUp(interfaceName) &&
    has(host, { interfaceName, ...subnet }) &&
    has(inside, { interfaceName: "eth0", ...subnet }) &&
    has(inside, { interfaceName: "eth0", destination: none, mask: none, gateway })
  );
}

/** A link of two ends is up when both are. */
function isUp(interfaceName: string): boolean {
  try {
    return readFileSync(`/sys/class/net/${interfaceName}/operstate`, "utf8").trim() === "up";
  } catch {
    return false;
  }
}

function littleEndian(address: string): string {
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return bytes.reverse().join("").toUpperCase();
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
