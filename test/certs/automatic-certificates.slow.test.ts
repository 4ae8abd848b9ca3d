import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { Resolver } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import type { AcmeAccount } from "../../src/certs/acme-order.ts";
import {
  type AutomaticCertificate,
  type AutomaticCertificateOptions,
  type CertificateStore,
  createAutomaticCertificates,
  pendingCertificate,
} from "../../src/certs/automatic-certificates.ts";
import { openCertificateFolder } from "../../src/certs/certificate-files.ts";
import { isAllowedByCaa } from "../../src/certs/precheck.ts";
import {
  demoTable,
  dynoAt,
  get,
  type RouterProcess,
  startRouterProcess,
} from "../router/router-fixture.ts";
import { type Pebble, startPebble } from "./pebble.ts";

const hourMs = 3_600_000;

interface MemoryStore extends CertificateStore {
  of(host: string): AutomaticCertificate;
  add(host: string): void;
  saves: AutomaticCertificate[];
}

function storeOf(...hosts: string[]): MemoryStore {
  const certificates = new Map(hosts.map((host) => [host, pendingCertificate(host)]));
  const saves: AutomaticCertificate[] = [];
  let account: AcmeAccount | undefined;
  return {
    saves,
    account: () => account,
    saveAccount: (made) => void (account = made),
    list: () => [...certificates.values()],
    save(certificate) {
      saves.push(certificate);
      if (certificates.has(certificate.host)) certificates.set(certificate.host, certificate);
    },
    of: (host) => certificates.get(host)!,
    add: (host) => void certificates.set(host, pendingCertificate(host)),
  };
}

/** What the server does with the certificates: brings them, and the answers to the CA, to the router. */
function connectToRouter(router: RouterProcess, store: MemoryStore, port: number) {
  const folder = openCertificateFolder(join(router.dir, "certificates"));
  const challenges: Record<string, string> = {};
  let publishing = Promise.resolve();
  // One after another, or the files of the newer table would be taken for superfluous.
  const publish = () => (publishing = publishing.then(publishNow));
  async function publishNow(): Promise<void> {
    const certificates = store
      .list()
      .flatMap(({ host, certificateChain, privateKey }) =>
        certificateChain === null || privateKey === null
          ? []
          : [folder.put({ hosts: [host], certificateChain, privateKey: () => privateKey })],
      );
    // Of all the app's rules none may keep the CA away.
    const app = { httpsRedirect: true, maintenance: false, allowedAddresses: ["127.0.0.0/8"] };
    const { setAside } = await router.client.putTable({
      ...demoTable([dynoAt(port)], app),
      ...{ certificates, challenges },
    });
    expect(setAside).toEqual([]);
    folder.retain(certificates);
  }
  return {
    publish,
    http01: {
      async put(token: string, value: string) {
        challenges[token] = value;
        await publish();
      },
      async remove(token: string) {
        delete challenges[token];
        await publish();
      },
    },
  };
}

interface Stage extends AsyncDisposable {
  router: RouterProcess;
  pebble: Pebble;
  store: MemoryStore;
  time: { offsetMs: number };
  reconcile(): Promise<void>;
}

async function setStage(
  hosts: string[],
  options: Partial<AutomaticCertificateOptions> & {
    validitySeconds?: number;
    forgetsProofs?: boolean;
    /** What the CA hears instead of the right answers, as long as this is set. */
    spoilt?: { answer: string | undefined };
    /** What the CA says its name is; this Pebble says nothing. */
    caaIdentities?: string[];
  } = {},
): Promise<Stage> {
  const cleanup = new AsyncDisposableStack();
  const app = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("served") });
  cleanup.defer(() => void app.stop(true));
  const router = cleanup.use(await startRouterProcess({ workers: 2, https: true }));
  const pebble = cleanup.use(await startPebble({ ...options, httpPort: router.port }));
  const store = storeOf(...hosts);
  const time = { offsetMs: 0 };
  const { publish, http01 } = connectToRouter(router, store, app.port!);
  const { caBundlePath } = pebble;
  const { caaIdentities } = options;
  const named = caaIdentities && cleanup.use(serveNamedDirectory(pebble, caaIdentities));
  const directoryUrl = named?.url.href ?? pebble.directoryUrl;
  await publish();
  const answers: typeof http01 = {
    ...http01,
    // Whether the name leads here is asked before; that stays true.
    put: (token, value) =>
      http01.put(token, token.startsWith("stator-") ? value : (options.spoilt?.answer ?? value)),
  };
  const certificates = createAutomaticCertificates({
    authority: { directoryUrl, caBundlePath, pollMs: 50 },
    dnsServers: [pebble.dnsServer],
    httpPort: router.port,
    nowMs: () => Date.now() + time.offsetMs,
    ...{ store, http01: answers, onIssued: publish },
    ...options,
  });
  return {
    ...{ router, pebble, store, time, reconcile: () => certificates.reconcile() },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

/** Pebble's own directory, with a name in it. */
function serveNamedDirectory(pebble: Pebble, caaIdentities: string[]) {
  const tls = { ca: readFileSync(pebble.caBundlePath, "utf8") };
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch() {
      const directory = await (await fetch(pebble.directoryUrl, { tls })).json();
      return Response.json({ ...directory, meta: { ...directory.meta, caaIdentities } });
    },
  });
}

function openTls(port: number, servername: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const options = { port, host: "127.0.0.1", servername, rejectUnauthorized: false };
    const socket = connect(options, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** The certificate that the router shows, on each of its workers. */
async function shown(port: number, servername: string): Promise<X509Certificate> {
  const raws = new Set<string>();
  for (let index = 0; index < 16; index++) {
    const socket = await openTls(port, servername);
    raws.add(socket.getPeerCertificate().raw.toString("base64"));
    socket.destroy();
  }
  expect(raws.size).toBe(1);
  return new X509Certificate(Buffer.from([...raws][0]!, "base64"));
}

test("clause 97: a name that points here gets a certificate from the CA, and it is live at once", async () => {
  await using stage = await setStage(["demo.test", "second.test"]);
  const { router, store } = stage;
  expect(openTls(router.httpsPort!, "demo.test")).rejects.toThrow();
  await stage.reconcile();
  for (const host of ["demo.test", "second.test"]) {
    expect(store.of(host)).toMatchObject({ status: "issued", reason: null, failures: 0 });
    const certificate = await shown(router.httpsPort!, host);
    expect(certificate.issuer).toContain("Pebble Intermediate CA");
    expect(certificate.subjectAltName).toBe(`DNS:${host}`);
  }
  expect(store.saves.map(({ status }) => status)).toContain("dns-verified");
  const socket = await openTls(router.httpsPort!, "demo.test");
  socket.write(get);
  const answer = await new Promise<string>((resolve) => {
    let text = "";
    socket.on("data", (bytes: Buffer) => (text += bytes.toString()));
    socket.on("end", () => resolve(text));
  });
  socket.destroy();
  expect(answer).toEndWith("served");
  // Nothing is due: the CA is left alone.
  const { length } = store.saves;
  await stage.reconcile();
  expect(store.saves).toHaveLength(length);
});

test("a short-lived certificate is renewed at a third of its life, without a dropped connection", async () => {
  await using stage = await setStage(["demo.test"], { validitySeconds: 300 });
  const { router, store, time } = stage;
  await stage.reconcile();
  const first = await shown(router.httpsPort!, "demo.test");
  const kept = await openTls(router.httpsPort!, "demo.test");
  let received = "";
  kept.on("data", (bytes: Buffer) => (received += bytes.toString()));
  const account = store.account();
  const { notBeforeMs, notAfterMs } = store.of("demo.test");
  const lifeMs = notAfterMs! - notBeforeMs!;

  time.offsetMs = lifeMs * 0.6;
  await stage.reconcile();
  expect((await shown(router.httpsPort!, "demo.test")).fingerprint).toBe(first.fingerprint);
  time.offsetMs = lifeMs * 0.7;
  await stage.reconcile();
  expect(store.of("demo.test").reason).toBeNull();
  const second = await shown(router.httpsPort!, "demo.test");
  expect(second.fingerprint).not.toBe(first.fingerprint);
  expect(second.issuer).toContain("Pebble");
  expect(store.account()).toEqual(account!);
  kept.write(get);
  while (!received.endsWith("served")) await Bun.sleep(5);
  kept.destroy();
});

test("one name that fails harms no other; it waits longer each time and keeps its old certificate", async () => {
  const hosts = ["good.test", "nowhere.test", "elsewhere.test", "*.wild.test"];
  await using stage = await setStage(hosts, { validitySeconds: 36_000 });
  const { router, pebble, store, time } = stage;
  using stranger = Bun.serve({
    hostname: "127.0.0.2",
    port: router.port,
    fetch: () => new Response("no"),
  });
  await pebble.dns("set-default-ipv4", { ip: "" });
  await pebble.dns("add-a", { host: "good.test", addresses: ["127.0.0.1"] });
  await pebble.dns("add-a", { host: "elsewhere.test", addresses: [stranger.hostname] });
  await stage.reconcile();
  expect(store.of("good.test").status).toBe("issued");
  expect(store.of("nowhere.test")).toMatchObject({
    status: "failing",
    reason: "nowhere.test has no address: point its DNS record here",
    failures: 1,
  });
  expect(store.of("elsewhere.test").reason).toBe(
    "elsewhere.test is at 127.0.0.2, where another server answers (status 200): point its DNS record here",
  );
  expect(store.of("*.wild.test").reason).toContain("needs DNS-01: set a DNS hook");

  await stage.reconcile();
  expect(store.of("nowhere.test").failures).toBe(1);
  time.offsetMs = 20 * 60_000;
  await stage.reconcile();
  expect(store.of("nowhere.test").failures).toBe(2);

  // The good one points elsewhere when it is due: what it has serves on.
  const before = await shown(router.httpsPort!, "good.test");
  await pebble.dns("clear-a", { host: "good.test" });
  time.offsetMs = 7 * hourMs;
  await stage.reconcile();
  expect(store.of("good.test")).toMatchObject({ status: "failing", failures: 1 });
  expect((await shown(router.httpsPort!, "good.test")).fingerprint).toBe(before.fingerprint);
  await pebble.dns("add-a", { host: "good.test", addresses: ["127.0.0.1"] });
  time.offsetMs += 20 * 60_000;
  await stage.reconcile();
  expect(store.of("good.test")).toMatchObject({ status: "issued", failures: 0, reason: null });
});

test("names by the hundred are ordered by and by; renewals do not wait for them", async () => {
  const hosts = ["one.test", "two.test", "three.test"];
  await using stage = await setStage(hosts, { validitySeconds: 36_000, newOrdersPerHour: 1 });
  const { store, time } = stage;
  const chains = () => hosts.flatMap((host) => store.of(host).certificateChain ?? []);
  await stage.reconcile();
  expect(chains()).toHaveLength(1);
  await stage.reconcile();
  expect(chains()).toHaveLength(1);
  time.offsetMs = hourMs + 60_000;
  await stage.reconcile();
  const before = chains();
  expect(before).toHaveLength(2);
  time.offsetMs = 7 * hourMs;
  await stage.reconcile();
  expect(chains()).toHaveLength(3);
  expect(chains().filter((chain) => before.includes(chain))).toEqual([]);
});

test("a challenge that the CA finds wrong is told in the CA's words", async () => {
  // A hook that says it has set the record, and has not.
  await using stage = await setStage(["demo.test"], { dnsHook: ["true"], dnsVisibleMs: 10 });
  await stage.reconcile();
  expect(stage.store.of("demo.test").status).toBe("failing");
  expect(stage.store.of("demo.test").reason).toContain("TXT");
});

test("a challenge over HTTP that the CA finds wrong costs one name its attempt, and is put right by the next", async () => {
  const spoilt: { answer: string | undefined } = { answer: undefined };
  await using stage = await setStage(["old.test"], {
    ...{ spoilt, forgetsProofs: true, validitySeconds: 36_000 },
  });
  const { router, store, time } = stage;
  await stage.reconcile();
  spoilt.answer = "forged";
  store.add("new.test");
  let before;
  do {
    before = await shown(router.httpsPort!, "old.test");
    time.offsetMs += 7 * hourMs;
    await stage.reconcile();
    // One time in a hundred this CA takes an old proof, also when it is told never to.
  } while (store.of("old.test").status === "issued");
  expect(store.of("old.test").failures).toBe(1);
  for (const host of ["old.test", "new.test"]) {
    expect(store.of(host).status).toBe("failing");
    expect(store.of(host).reason).toContain("forged");
  }
  expect((await shown(router.httpsPort!, "old.test")).fingerprint).toBe(before.fingerprint);
  spoilt.answer = undefined;
  time.offsetMs += 20 * 60_000;
  await stage.reconcile();
  for (const host of ["old.test", "new.test"])
    expect(store.of(host)).toMatchObject({ status: "issued", failures: 0 });
  expect((await shown(router.httpsPort!, "old.test")).fingerprint).not.toBe(before.fingerprint);
});

test("a name that the CA signs nothing for is told in its words, and harms no other", async () => {
  await using stage = await setStage(["blocked.test", "good.test"]);
  const { store } = stage;
  await stage.reconcile();
  expect(store.of("blocked.test")).toMatchObject({ status: "failing", failures: 1 });
  expect(store.of("blocked.test").reason).toContain("blocked.test");
  expect(store.of("good.test").status).toBe("issued");
});

test("a nonce that the CA refuses is followed by another, and no name fails for it", async () => {
  await using stage = await setStage(["name-0.test"]);
  const { pebble, store } = stage;
  // Each certificate takes one of each; whatever is more was refused and sent again.
  const once = ["POST /order-plz", "POST /chalZ", "POST /finalize-order"];
  for (let names = 1; ; names++) {
    await stage.reconcile();
    for (const { host, status } of store.list()) expect([host, status]).toEqual([host, "issued"]);
    const asked = (await pebble.asked()).filter((one) => once.includes(one));
    expect(asked.length).toBeGreaterThanOrEqual(names * once.length);
    if (asked.length > names * once.length) return;
    store.add(`name-${names}.test`);
  }
});

test("wildcards come by DNS-01 through the operator's hook, which gets its words as arguments", async () => {
  await using cleanup = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "stator-dns-hook-"));
  cleanup.defer(() => rm(dir, { recursive: true }));
  const script = join(dir, "hook");
  await Bun.write(
    script,
    `#!/bin/sh
echo "$@" >>${dir}/calls
url=$(cat ${dir}/url)
case $1 in
  present) curl -fsS -d "{\\"host\\":\\"$2.\\",\\"value\\":\\"$3\\"}" $url/set-txt ;;
  remove) curl -fsS -d "{\\"host\\":\\"$2.\\"}" $url/clear-txt ;;
esac
`,
  );
  await chmod(script, 0o700);
  const stage = cleanup.use(await setStage(["*.wild.test"], { dnsHook: [script] }));
  const { router, pebble, store } = stage;
  await Bun.write(join(dir, "url"), pebble.dnsManagementUrl);
  await stage.reconcile();
  expect(store.of("*.wild.test")).toMatchObject({ status: "issued", reason: null });
  expect((await shown(router.httpsPort!, "any.wild.test")).subjectAltName).toBe("DNS:*.wild.test");
  expect(await Bun.file(join(dir, "calls")).text()).toMatch(
    /^present _acme-challenge.wild.test [\w-]{43}\nremove _acme-challenge.wild.test [\w-]{43}\n$/,
  );
});

test("a name that takes its time holds up no other", async () => {
  await using cleanup = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "stator-dns-hook-"));
  cleanup.defer(() => rm(dir, { recursive: true }));
  const script = join(dir, "hook");
  const waits = `while [ ! -e ${dir}/go ]; do sleep 0.05; done`;
  await Bun.write(script, `#!/bin/sh\ncase $2 in *slow*) ${waits} ;; esac\nexit 1\n`);
  await chmod(script, 0o700);
  const stage = cleanup.use(await setStage(["slow.test"], { dnsHook: [script] }));
  const busy = stage.reconcile();
  stage.store.add("quick.test");
  while (stage.store.of("quick.test").status !== "failing") {
    await stage.reconcile();
    await Bun.sleep(20);
  }
  expect(stage.store.of("slow.test").status).toBe("dns-verified");
  await Bun.write(join(dir, "go"), "");
  await busy;
  expect(stage.store.of("slow.test")).toMatchObject({ status: "failing", failures: 1 });
});

test("an address that the CA cannot get to is asked nothing, whoever has named it", async () => {
  let asked = 0;
  await using stage = await setStage(["inside.test"], {
    isReachable: (one) => one !== "127.0.0.2",
  });
  const { router, pebble, store } = stage;
  using inside = Bun.serve({
    ...{ hostname: "127.0.0.2", port: router.port },
    fetch: () => new Response(String(++asked)),
  });
  await pebble.dns("add-a", { host: "inside.test", addresses: [inside.hostname] });
  await stage.reconcile();
  expect(store.of("inside.test").reason).toBe(
    "inside.test is at 127.0.0.2, which is no address of the public internet: point its DNS record here",
  );
  expect(asked).toBe(0);
});

test("a CA that is away is said so; all names wait, and are seen to when it is back", async () => {
  await using stage = await setStage(["demo.test"]);
  const { pebble, store, time } = stage;
  await pebble.stop();
  await stage.reconcile();
  expect(store.of("demo.test").reason).toContain("can't be reached");
  await pebble.start();
  time.offsetMs = 20 * 60_000;
  await stage.reconcile();
  expect(store.of("demo.test").status).toBe("issued");
});

test("a name whose CAA record forbids this CA costs it no order, and harms no other", async () => {
  await using stage = await setStage(["theirs.test"], { caaIdentities: ["ca.test"] });
  const { pebble, store } = stage;
  const policies = [{ tag: "issue", value: "other-ca.test" }];
  await pebble.dns("add-caa", { host: "theirs.test", policies });
  await stage.reconcile();
  expect(store.of("theirs.test")).toMatchObject({
    ...{ status: "failing", failures: 1 },
    reason: "The CAA record of theirs.test allows other-ca.test, not ca.test",
  });
  expect(await pebble.asked()).not.toContain("POST /order-plz");
  store.add("free.test");
  await stage.reconcile();
  expect(store.of("free.test").status).toBe("issued");
  expect(store.of("theirs.test").failures).toBe(1);
  expect(await pebble.asked()).toContain("POST /order-plz");
});

test("CAA records that name other authorities are found before the CA is asked", async () => {
  await using pebble = await startPebble({ httpPort: 1 });
  const resolver = new Resolver();
  resolver.setServers([pebble.dnsServer]);
  const caa = (host: string, ...policies: { tag: string; value: string }[]) =>
    pebble.dns("add-caa", { host, policies });
  await caa("theirs.test", { tag: "issue", value: "other-ca.test" });
  await caa("ours.test", { tag: "issue", value: "ca.test; account=1" });
  await caa("closed.test", { tag: "issue", value: ";" });
  const check = async (host: string, identities = ["ca.test"]) => {
    const checked = await isAllowedByCaa(host, { resolver, identities });
    return checked.ok ? "allowed" : checked.reason;
  };
  expect(await check("theirs.test")).toBe(
    "The CAA record of theirs.test allows other-ca.test, not ca.test",
  );
  expect(await check("www.theirs.test")).toContain("CAA record of theirs.test");
  expect(await check("closed.test")).toContain("allows nobody");
  for (const host of ["ours.test", "a.b.ours.test", "free.test", "*.ours.test"])
    expect([host, await check(host)]).toEqual([host, "allowed"]);
  expect(await check("theirs.test", [])).toBe("allowed");
});
