import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { exec, execOk } from "../../src/lib/exec.ts";
import { timeSlice } from "../../src/lib/time-slice.ts";
import { pidsOf } from "../../src/runtime/cgroup.ts";
import type { NetworkAddress } from "../../src/runtime/runtime.ts";
import { type ContainerBench, openContainerBench } from "../helpers/container-bench.ts";
import { promptSlice } from "../helpers/prompt-slice.ts";
import { type WiredNamespace, wiredNamespace } from "../helpers/wired-namespace.ts";

const openPort = 5000;
const closedPort = 5001;
let bench: ContainerBench;
let web: { id: string; address: NetworkAddress };
let neighbour: { id: string; address: NetworkAddress };
/** Stands for the router: its port is open for containers. */
let router: Bun.TCPSocketListener<undefined>;
/** Something else of the host's, on all of its addresses. */
let hostService: Bun.TCPSocketListener<undefined>;
/** Stands for the internet: a network namespace behind a wire. */
let outside: WiredNamespace;

const listen = () =>
  Bun.listen({
    hostname: "0.0.0.0",
    port: 0,
    socket: { open: (socket) => void socket.end("host"), data() {} },
  });

const serve = [openPort, closedPort]
  .map((port) => `python3 -m http.server --directory /opt ${port} > /dev/null 2>&1 &`)
  .join("\n");

async function startServing(change: { openPort: number | null }) {
  const id = `test-${crypto.randomUUID()}`;
  const network = bench.runtime.reserveAddress(id);
  const script = `${serve}\nuntil (: < /dev/tcp/127.0.0.1/${openPort}) && (: < /dev/tcp/127.0.0.1/${closedPort}); do sleep 0.05; done 2> /dev/null; echo serving; wait`;
  await bench.start(script, { id, network, ...change });
  await bench.said(id, "serving");
  return { id, address: network };
}

beforeAll(async () => {
  bench = await openContainerBench();
  router = listen();
  hostService = listen();
  outside = await wiredNamespace(["203.0.113.1", "203.0.113.2"]);
  await execOk([
    "ip",
    "-n",
    outside.namespace,
    "address",
    "add",
    "169.254.169.254/32",
    "dev",
    "eth0",
  ]);
  await reconcile();
  web = await startServing({ openPort });
  neighbour = await startServing({ openPort: null });
});
afterAll(async () => {
  router.stop(true);
  hostService.stop(true);
  await outside.remove();
  await bench.close();
});

const reconcile = () => bench.runtime.network.reconcile({ openPorts: [router.port] });

/** Connects from where `prefix` leads to. */
const knock = async (prefix: string[], address: string, port: number) => {
  const script = `exec 3<>/dev/tcp/${address}/${port}`;
  const said = await exec(["timeout", "1", ...prefix, "bash", "-c", script]);
  return said.exitCode === 0 ? "open" : "closed";
};
const asRoot = (address: string, port: number) => knock([], address, port);
test("what is reached by a port answers promptly, with all of its processes", () => {
  const slices = (id: string) => new Set(pidsOf(`/stator-${bench.instance}/${id}`).map(timeSlice));
  expect([...slices(web.id)]).toEqual([promptSlice]);
  expect([...slices(neighbour.id)]).toEqual([timeSlice(process.pid)]);
});

const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

async function knockFrom(id: string, address: string, port: number): Promise<string> {
  const added = bench.exec(id, `timeout 1 bash -c 'exec 3<>/dev/tcp/${address}/${port}'`);
  return (await added.exited) === 0 ? "open" : "closed";
}

/** A listener in the namespace outside, for one test. */
async function withOutside(act: () => Promise<void>): Promise<void> {
  const script = `import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", 25)); s.listen(64)
while True:
  try: s.accept()[0].close()
  except OSError: pass`;
  const stop = new AbortController();
  const server = exec(["ip", "netns", "exec", outside.namespace, "python3", "-c", script], {
    signal: stop.signal,
  });
  const ready = async () =>
    (await exec(["ip", "netns", "exec", outside.namespace, "ss", "-Hltn", "sport = :25"]))
      .stdout !== "";
  while (!(await ready())) await Bun.sleep(20);
  try {
    await act();
  } finally {
    stop.abort();
    await server;
  }
}

/** What must flow: the router to the open port, the container to the router and to the world. */
async function flows(): Promise<string[]> {
  return Promise.all([
    asRoot(web.address.containerAddress, openPort),
    knockFrom(web.id, web.address.hostAddress, router.port),
    knockFrom(web.id, outside.there, 25),
  ]);
}
const allOpen = ["open", "open", "open"];

test("root of the host reaches a container at its open port alone, and one without such a port not at all", async () => {
  const { containerAddress: address } = web.address;
  expect(await asRoot(address, openPort)).toBe("open");
  expect(await asRoot(address, closedPort)).toBe("closed");
  for (const port of [openPort, closedPort])
    expect(await asRoot(neighbour.address.containerAddress, port)).toBe("closed");
});

test("another user of the host reaches no container", async () => {
  for (const port of [openPort, closedPort])
    expect(await knock(asNobody, web.address.containerAddress, port)).toBe("closed");
});

test("a container reaches no other one, at any port", async () => {
  for (const port of [openPort, closedPort]) {
    expect(await knockFrom(neighbour.id, web.address.containerAddress, port)).toBe("closed");
    expect(await knockFrom(web.id, neighbour.address.containerAddress, port)).toBe("closed");
  }
});

test("of the host a container reaches the router's port, whatever the address, and nothing else", async () => {
  const links = await execOk(["ip", "-4", "-json", "address"]);
  const addresses = (JSON.parse(links) as { addr_info: { local: string }[] }[])
    .flatMap(({ addr_info }) => addr_info.map(({ local }) => local))
    .filter((address) => !address.startsWith("127.") && !address.startsWith("198.1"));
  for (const address of [web.address.hostAddress, neighbour.address.hostAddress, ...addresses]) {
    expect([address, await knockFrom(web.id, address, router.port)]).toEqual([address, "open"]);
    expect([address, await knockFrom(web.id, address, hostService.port)]).toEqual([
      address,
      "closed",
    ]);
  }
  expect(await knockFrom(web.id, "127.0.0.1", hostService.port)).toBe("closed");
});

test("a container reaches the world, also to send mail, but no link-local service", () =>
  withOutside(async () => {
    await execOk(["ip", "route", "add", "169.254.169.254/32", "dev", outside.link]);
    expect(await asRoot("169.254.169.254", 25)).toBe("open");
    expect(await knockFrom(web.id, outside.there, 25)).toBe("open");
    expect(await knockFrom(web.id, "169.254.169.254", 25)).toBe("closed");
  }));

test("the world does not reach a container", async () => {
  const from = ["ip", "netns", "exec", outside.namespace];
  const route = [web.address.containerAddress, "via", outside.here] as const;
  await execOk(["ip", "-n", outside.namespace, "route", "add", ...route]);
  expect(await knock(from, web.address.containerAddress, openPort)).toBe("closed");
  await execOk(["ip", "-n", outside.namespace, "route", "delete", ...route]);
});

test("IPv6 is no way around", async () => {
  const script = `import socket, sys
for line in open("/proc/net/if_inet6"):
    if line.split()[5] == "eth0": print(line.split()[0])`;
  const own = bench.exec(web.id, `python3 -c '${script}'`);
  await own.exited;
  const listed = await execOk([
    "ip",
    "-6",
    "-json",
    "address",
    "show",
    "dev",
    web.address.interfaceName,
  ]);
  const host = (JSON.parse(listed) as { addr_info?: { local: string }[] }[])[0]?.addr_info?.[0]
    ?.local;
  for (const address of [host ?? "fe80::1", "ff02::1%eth0"]) {
    const added = bench.exec(
      web.id,
      `timeout 1 python3 -c 'import socket; socket.create_connection(("${address.replace("%eth0", "")}%eth0", ${router.port}), 1)'`,
    );
    expect(await added.exited).not.toBe(0);
  }
  const inside = own.said().trim();
  if (inside) {
    const address = inside.match(/.{4}/g)?.join(":");
    expect(await knock([], `${address}%${web.address.interfaceName}`, openPort)).toBe("closed");
  }
});

test("a container cannot use up the kernel's memory of connections", async () => {
  const read = (name: string) =>
    Number(readFileSync(`/proc/sys/net/netfilter/nf_conntrack_${name}`, "utf8"));
  const before = read("count");
  const script = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for flow in range(${Math.ceil(read("max") / 6)}):
  try: s.sendto(b"x", ("203.0.113.%d" % (2 + flow // 65000), 1 + flow % 65000))
  except OSError: pass`;
  const added = bench.exec(neighbour.id, `python3 -c '${script}'`);
  await added.exited;
  const taken = read("count") - before;
  expect(taken).toBeGreaterThan(500);
  expect(taken).toBeLessThan(read("max") / 7);
  await withOutside(async () => expect(await flows()).toEqual(allOpen));
});

test("when its container is gone, its door is closed", async () => {
  const passing = await startServing({ openPort });
  const door = `${passing.address.containerAddress} . ${openPort}`;
  const table = ["nft", "list", "table", "inet", `stator_${bench.instance}`] as const;
  expect(await execOk(table)).toContain(door);
  await bench.runtime.destroy(passing.id);
  expect(await execOk(table)).not.toContain(door);
});

test("what is for a container that is gone is refused at once, and leaves the machine by no other way", () =>
  withOutside(async () => {
    const id = `test-${crypto.randomUUID()}`;
    const gone = bench.runtime.reserveAddress(id).containerAddress;
    await execOk(["ip", "-n", outside.namespace, "address", "add", `${gone}/32`, "dev", "lo"]);
    await execOk(["ip", "route", "add", gone, "via", outside.there]);
    const asked = await exec(["bash", "-c", `exec 3<>/dev/tcp/${gone}/25`]);
    expect(asked.stderr).toContain("Connection refused");
    await bench.runtime.destroy(id);
  }));

const table = () => ["inet", `stator_${bench.instance}`] as const;
const nft = (...words: string[]) => execOk(["nft", ...(words as [string])]);

async function handleOf(chain: string, words: string): Promise<string> {
  const listed = await nft("--handle", "list", "chain", ...table(), chain);
  return new RegExp(`${words}.*# handle (\\d+)`).exec(listed)?.[1] ?? "";
}

const damages: Record<string, () => Promise<unknown>> = {
  "the whole ruleset flushed": async () => {
    const listed = await nft("--stateless", "list", "ruleset");
    await nft("flush", "ruleset");
    await reconcile();
    // What is not ours is put back at once: other servers of this machine live by it.
    const own = /^table inet stator_TABLE \{\n[\s\S]*?^\}\n/m.source.replace(
      "TABLE",
      bench.instance,
    );
    await execOk(["nft", "-f", "-"], { stdin: listed.replace(new RegExp(own, "m"), "") });
  },
  "the table deleted": () => nft("delete", "table", ...table()),
  "a chain flushed": () => nft("flush", "chain", ...table(), "forward"),
  "the nat chain deleted": async () => {
    await nft("flush", "chain", ...table(), "postrouting");
    await nft("delete", "chain", ...table(), "postrouting");
  },
  "a rule added that drops all": () => nft("insert", "rule", ...table(), "output", "drop"),
  "a rule deleted": async () =>
    nft("delete", "rule", ...table(), "input", "handle", await handleOf("input", "dport")),
  "a rule altered": async () =>
    nft(
      "replace",
      "rule",
      ...table(),
      "output",
      "handle",
      await handleOf("output", "@open"),
      "drop",
    ),
  "the doors closed": () => nft("flush", "set", ...table(), "open"),
  "forwarding switched off": async () => writeFileSync("/proc/sys/net/ipv4/ip_forward", "0"),
  "the link deleted": () => execOk(["ip", "link", "delete", web.address.interfaceName]),
  "the host's end down": () => execOk(["ip", "link", "set", web.address.interfaceName, "down"]),
  "the host's end without its address": () =>
    execOk(["ip", "address", "flush", "dev", web.address.interfaceName]),
  "the inner end down": () => inside("link", "set", "eth0", "down"),
  "the inner route deleted": () => inside("route", "delete", "default"),
  "the inner address deleted": () => inside("address", "flush", "dev", "eth0"),
};

async function inside(...words: string[]): Promise<void> {
  const pid = (await bench.runtime.list()).get(web.id);
  await execOk(["nsenter", `--net=/proc/${pid}/ns/net`, "ip", ...words]);
}

/** After these the traffic may flow on (another server's table may stand in), but the walls have a hole. */
const unnoticed = [
  "the whole ruleset flushed",
  "the table deleted",
  "a chain flushed",
  "the nat chain deleted",
];

for (const [name, damage] of Object.entries(damages))
  test(`repaired by one call: ${name}`, () =>
    withOutside(async () => {
      expect(await flows()).toEqual(allOpen);
      await damage();
      if (!unnoticed.includes(name)) expect(await flows()).not.toEqual(allOpen);
      await reconcile();
      expect(await flows()).toEqual(allOpen);
      expect(await asRoot(web.address.containerAddress, closedPort)).toBe("closed");
      expect(await knockFrom(neighbour.id, web.address.containerAddress, openPort)).toBe("closed");
    }));

test("a door that somebody else has opened is closed", async () => {
  const door = `${neighbour.address.containerAddress} . ${closedPort}`;
  await nft("add", "element", ...table(), "open", `{ ${door} }`);
  expect(await asRoot(neighbour.address.containerAddress, closedPort)).toBe("open");
  await reconcile();
  expect(await asRoot(neighbour.address.containerAddress, closedPort)).toBe("closed");
});

test("when nothing is wrong, nothing is changed", async () => {
  const before = await nft("--handle", "list", "table", ...table());
  const index = await execOk(["ip", "-json", "link", "show", web.address.interfaceName]);
  await reconcile();
  await reconcile();
  expect(await nft("--handle", "list", "table", ...table())).toBe(before);
  expect(await execOk(["ip", "-json", "link", "show", web.address.interfaceName])).toBe(index);
});
