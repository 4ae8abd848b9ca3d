import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { tryRead } from "../../src/runtime/read-file.ts";
import {
  findProcesses,
  probeFiles,
  startStator,
  type StatorApp,
  type StatorServer,
} from "../helpers/stator-server.ts";

const secret = "correct-horse-battery-staple";
let stator: StatorServer;
let app: StatorApp;
let neighbour: StatorApp;
/** Something of the host's that listens on all of its addresses. */
let hostService: Bun.TCPSocketListener<undefined>;

/** Says `open` or `closed` of each address, from inside of a container; all are tried at once. */
const knock = (addresses: string[]) =>
  `for at in ${addresses.join(" ")}; do { timeout 1 bash -c "exec 3<>/dev/tcp/$at" 2>/dev/null && echo "$at open" || echo "$at closed"; } & done; wait\n`;

const lookAround = `
grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' /proc/self/status
cat /proc/self/uid_map
for path in /x /usr/x /etc/x /opt/x /proc/sys/x /sys/x; do touch $path 2>/dev/null && echo "wrote $path"; done
for path in /root /home /etc/shadow /etc/ssh /run/stator /var/lib /var/log /boot /lost+found; do
  [ -e $path ] && ls -A $path 2>/dev/null | sed "s|^|saw $path/|"
done
mount -t tmpfs none /tmp 2>/dev/null && echo mounted
unshare -r true 2>/dev/null && echo unshared
mknod /tmp/node c 1 1 2>/dev/null && echo made-node
echo x > /proc/sys/kernel/core_pattern 2>/dev/null && echo wrote-core-pattern
dmesg 2>/dev/null | head -n 1
kill -0 -1 2>/dev/null; echo "processes $(ls /proc | grep -c '^[0-9]')"
find /dev -type b 2>/dev/null
find / -xdev -perm -4000 -type f 2>/dev/null | head -n 1 | while read path; do "$path" --version >/dev/null 2>&1; done; id -u
`;

function expectConfined(text: string): void {
  expect(text).toMatch(/^Uid:\t1000\t1000\t1000\t1000$/m);
  expect(text).toMatch(/^Gid:\t1000\t1000\t1000\t1000$/m);
  for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"])
    expect(text).toMatch(new RegExp(`^Cap${set}:\\t0+$`, "m"));
  expect(text).toMatch(/^NoNewPrivs:\t1$/m);
  expect(text).toMatch(/^Seccomp:\t2$/m);
  const [, inside, outside, count] = /^ +(\d+) +(\d+) +(\d+)$/m.exec(text) ?? [];
  expect([inside, count]).toEqual(["0", "65536"]);
  expect(Number(outside)).toBeGreaterThanOrEqual(0x7000_0000);
  expect(text).not.toMatch(/wrote|saw |mounted|unshared|made-node|wrote-core|^\/dev/m);
  expect(Number(/^processes (\d+)$/m.exec(text)?.[1])).toBeLessThan(20);
  expect(text).toMatch(/^1000$/m);
}

beforeAll(async () => {
  hostService = Bun.listen({
    hostname: "0.0.0.0",
    port: 0,
    socket: { open: (socket) => void socket.end("host"), data() {} },
  });
  stator = await startStator();
  neighbour = await stator.createApp(probeFiles("neighbour"));
  await neighbour.api("PATCH", "/config-vars", { SECRET: secret });
  expect((await neighbour.push()).exitCode).toBe(0);
  app = await stator.createApp(
    probeFiles("mine", {
      "package.json": JSON.stringify({
        name: "probe",
        version: "1.0.0",
        engines: { node: ">=18" },
        scripts: { build: "bash look-around > at-build 2>&1" },
      }),
      "look-around": "",
    }),
  );
  await app.api("PATCH", "/config-vars", { SECRET: secret });
  const gateway = (await neighbour.shell("ip route 2>/dev/null || cat /proc/net/route")).trim();
  expect(gateway).not.toBe("");
  app.write({ "look-around": `${knock(await forbidden())}${lookAround}` });
  await app.commit();
  const pushed = await app.push();
  expect(pushed.text).toContain("Verifying deploy... done.");
});
afterAll(async () => {
  hostService.stop(true);
  await stator.stop();
});

/** Addresses that no container may reach; all of them answer the host, or would. */
async function forbidden(): Promise<string[]> {
  const { address, port } = await addressOf(neighbour);
  const gateway = address.replace(/\d+$/, (last) => String(Number(last) - 1));
  return [
    `127.0.0.1/${hostService.port}`,
    `${gateway}/${hostService.port}`,
    `${gateway}/22`,
    `${address}/${port}`,
    "169.254.169.254/80",
  ];
}

async function addressOf(of: StatorApp): Promise<{ address: string; port: number }> {
  const table = await of.shell("cat /proc/net/fib_trie; echo; echo $PORT");
  const address = /\b(198\.(?:18|19)\.\d+\.\d+)\n\s+\/32 host LOCAL/.exec(table)?.[1];
  if (!address) throw new Error(`no address in ${table}`);
  return { address, port: Number(table.trim().split("\n").at(-1)) };
}

test("a dyno is confined: user, capabilities, root, devices, processes", async () => {
  expectConfined(await app.shell(lookAround));
});

test("a build is confined in the same way, and reaches no neighbour, host or metadata service", async () => {
  const seen = await app.shell("cat at-build");
  expectConfined(seen);
  for (const address of await forbidden()) expect(seen).toContain(`${address} closed\n`);
});

test("a dyno reaches no loopback of the host, no other dyno and no metadata service", async () => {
  const { address, port } = await addressOf(neighbour);
  expect((await fetch(`http://${address}:${port}/`)).status).toBe(200);
  const own = (await addressOf(app)).address.replace(/\d+$/, (last) => String(Number(last) - 1));
  const addresses = [...(await forbidden()), `${own}/${hostService.port}`, `${own}/22`];
  const said = (await app.shell(knock(addresses))).trimEnd().split("\n");
  expect(said.sort()).toEqual(addresses.map((at) => `${at} closed`).sort());
});

test("a dyno sees no file of another app's", async () => {
  const mine = await app.shell("stat -c %u /app && cat /proc/self/uid_map");
  const theirs = await neighbour.shell("cat /proc/self/uid_map");
  expect(mine.split("\n")[1]).not.toBe(theirs.trimEnd());
  expect(await app.shell("grep -c neighbour /proc/mounts")).toBe("0\n");
});

test("a dyno that forks without end is held by its limit and the others go on", async () => {
  const script =
    'const { spawn } = require("node:child_process"); let held = 0; for (let n = 0; n < 400; n++) spawn("sleep", ["2"]).on("error", () => held++); setTimeout(() => console.log("held " + held), 1500)';
  const [, held] = /held (\d+)/.exec(await app.shell(`node -e '${script}'`)) ?? [];
  expect(Number(held)).toBeGreaterThan(100);
  expect(await (await neighbour.get()).text()).toBe("version neighbour");
});

test("the token is in no command line and in nothing that the server says", async () => {
  const { token } = stator.credentials;
  const pushing = neighbour.commit("Again").then(() => neighbour.push());
  const seen: string[] = [];
  let pushes = 0;
  const watching = setInterval(() => {
    pushes += findProcesses("receive-pack").length;
    for (const text of [token, secret])
      seen.push(...findProcesses(text).map(({ argv }) => argv.join(" ")));
  }, 20);
  const pushed = await pushing;
  clearInterval(watching);
  expect(pushes).toBeGreaterThan(0);
  expect(seen).toEqual([]);
  expect(pushed.text).not.toContain(token);
  expect(stator.said()).not.toContain(token);
  expect(await neighbour.logs()).not.toContain(token);
});

test("credentials and key are root's alone, and no secret lies where others can read it", () => {
  expect(statSync(join(stator.dataDir, "credentials.json")).mode & 0o777).toBe(0o600);
  expect(statSync(join(stator.dataDir, "key")).mode & 0o777).toBe(0o600);
  expect(statSync(join(stator.dataDir, "stator.db")).mode & 0o777).toBe(0o600);
  const { token } = stator.credentials;
  const withToken: string[] = [];
  const withSecret: string[] = [];
  const world: string[] = [];
  for (const { path, passable } of walk(stator.dataDir, true)) {
    const bytes = tryRead(path);
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    const readable = passable && (mode & 0o004) !== 0;
    if (bytes.includes(token)) withToken.push(path);
    if (bytes.includes(secret)) withSecret.push(path);
    if (readable && (bytes.includes(token) || bytes.includes(secret))) world.push(path);
  }
  expect(withToken).toEqual([join(stator.dataDir, "credentials.json")]);
  expect(withSecret).toEqual([]);
  expect(world).toEqual([]);
});

/**
 * All files of a folder, and whether others than the owner get as far. The disks of dynos are left
 * out: a gigabyte each, and they come and go.
 */
function* walk(folder: string, open: boolean): Generator<{ path: string; passable: boolean }> {
  // What was listed may be gone by now.
  const here = statSync(folder, { throwIfNoEntry: false });
  if (!here) return;
  const passable = open && (here.mode & 0o001) !== 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (path === join(stator.dataDir, "box/dynos")) continue;
    if (entry.isDirectory()) yield* walk(path, passable);
    else if (entry.isFile()) yield { path, passable };
  }
}

test("stored tokens are hashes and stored config vars are sealed", () => {
  const stored = ["stator.db", "stator.db-wal"]
    .map((name) => readFileSync(join(stator.dataDir, name)).toString("latin1"))
    .join("");
  expect(stored).toContain(app.name);
  expect(stored).not.toContain(secret);
  expect(stored).not.toContain(stator.credentials.token);
});

test("the doors listen on loopback alone when the domain is localhost", () => {
  const listening = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state]) => state === "0A")
    .map(([, local = ""]) => local)
    .filter((local) =>
      local.endsWith(`:${stator.port.toString(16).toUpperCase().padStart(4, "0")}`),
    );
  // Each worker of the router listens.
  expect([...new Set(listening)]).toEqual([
    `0100007F:${stator.port.toString(16).toUpperCase().padStart(4, "0")}`,
  ]);
});
