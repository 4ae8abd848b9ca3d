import { afterAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "../certs/make-certificate.ts";
import { startPebble } from "../certs/pebble.ts";
import { commandLine } from "../helpers/command-line.ts";
import { freePorts } from "../helpers/free-ports.ts";
import { probeFiles, startStator, type StatorOptions, until } from "../helpers/stator-server.ts";
import { askOverTls, openTlsClient } from "../helpers/tls-client.ts";

const cleanup = new AsyncDisposableStack();
afterAll(() => cleanup.disposeAsync());

const stator = await startStator();
cleanup.defer(() => stator.stop());
const [httpsPort = 0] = freePorts(1);

let options: StatorOptions = {};
const startAgain = () => stator.restart(options);

/** The server with a certificate authority, which asks where the router listens. */
async function chooseAuthority(
  authority: Awaited<ReturnType<typeof startPebble>>,
  variables: Record<string, string> = {},
) {
  options = {
    flags: ["--stop-dynos", "--https", String(httpsPort)],
    variables: {
      STATOR_ACME_DIRECTORY: authority.directoryUrl,
      STATOR_ACME_CA_BUNDLE: authority.caBundlePath,
      STATOR_ACME_DNS_SERVERS: authority.dnsServer,
      STATOR_ACME_HTTP_PORT: String(stator.port),
      ...variables,
    },
  };
  // Not in order: it would take the dynos and the router with it.
  await stator.kill("SIGKILL");
  await startAgain();
}
const pebble = cleanup.use(await startPebble({ httpPort: stator.port }));
await chooseAuthority(pebble);

const person = commandLine({
  STATOR_API: `http://api.localhost:${stator.port}`,
  STATOR_API_KEY: stator.credentials.token,
});
cleanup.defer(() => person.remove());

/** Runs a command that must succeed; what it printed, and what it said meanwhile. */
async function ok(...argv: string[]): Promise<{ out: string; err: string }> {
  const { status, out, err } = await person.stator(...argv);
  expect(`${argv.join(" ")}: ${status}${status === 0 ? "" : err}`).toBe(`${argv.join(" ")}: 0`);
  return { out, err };
}

async function deployed(name: string, version: string) {
  const app = await stator.createApp(probeFiles(version), name);
  expect((await app.push()).exitCode).toBe(0);
  return app;
}
const shop = await deployed("shop", "one");
await deployed("other", "two");

const tls = (host: string, options?: Parameters<typeof askOverTls>[2]) =>
  askOverTls(httpsPort, host, options);
const fingerprint = async (host: string) => (await tls(host)).certificate.fingerprint256;
const plain = (host: string, path = "/", headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${stator.port}${path}`, {
    headers: { host, ...headers },
    redirect: "manual",
  });

test("clause 96, 97: a domain is added, gets its certificate by way of the router itself, and is served by its name", async () => {
  expect((await plain("www.shop.test")).status).toBe(404);
  const releases = await shop.api<unknown[]>("GET", "/releases");
  const { out, err } = await ok("domains:add", "WWW.Shop.test.", "-a", "shop");
  expect(err).toBe("Adding WWW.Shop.test. to ⬢ shop... done\n");
  expect(out).toBe(
    "Configure your app's DNS provider to point to the DNS Target shop.localhost.\n" +
      "    www.shop.test  CNAME  shop.localhost\n\n" +
      "The domain www.shop.test has been enqueued for addition\n" +
      "Run stator domains:wait www.shop.test to wait for completion\n",
  );
  expect(await (await plain("www.shop.test")).text()).toBe("version one");
  expect((await ok("domains:wait", "-a", "shop")).err).toBe("Waiting for www.shop.test... done\n");
  const answer = await tls("www.shop.test");
  expect(answer).toMatchObject({ status: 200, body: "version one" });
  expect(answer.certificate.issuer).toContain("Pebble Intermediate CA");
  expect(answer.certificate.subjectAltName).toBe("DNS:www.shop.test");
  expect((await ok("certs:auto", "-a", "shop")).out).toMatch(
    /^=== Automatic Certificate Management is enabled on ⬢ shop\n\nDomain +Status +Expires\nwww\.shop\.test +Cert issued +2\d{3}-\d\d-\d\d \d\d:\d\d UTC\n$/,
  );
  expect((await ok("certs", "-a", "shop")).out).toMatch(/www\.shop\.test .* ACM/);
  await until("its log tells", async () => {
    const log = await shop.logs();
    return (
      log.includes("app[api]: Add domain www.shop.test by user owner@") &&
      log.includes("app[api]: Certificate for www.shop.test issued, valid until 2")
    );
  });
  // Clause 30: neither release nor restart.
  expect(await shop.api<unknown[]>("GET", "/releases")).toEqual(releases);
});

test("the platform's own names have certificates of the authority too, those of apps with code", async () => {
  await ok("create", "empty", "--no-remote");
  for (const host of ["api.localhost", "git.localhost", "shop.localhost", "other.localhost"])
    await until(`${host} has one`, async () =>
      (await tls(host)).certificate.issuer.includes("Pebble"),
    );
  expect((await tls("shop.localhost")).certificate.subjectAltName).toBe("DNS:shop.localhost");
  expect((await tls("empty.localhost")).certificate.issuer).toBe("CN=localhost");
});

test("with the server dead the router serves all of it, from files that are nobody else's", async () => {
  const before = await fingerprint("www.shop.test");
  await stator.kill("SIGKILL");
  process.kill(stator.routerPid!, "SIGKILL");
  await startAgain();
  await until("it is served", async () => {
    const answer = await tls("www.shop.test").catch(() => undefined);
    return answer?.status === 200;
  });
  await stator.kill("SIGKILL");
  expect(await tls("www.shop.test")).toMatchObject({ status: 200, body: "version one" });
  expect(await fingerprint("www.shop.test")).toBe(before);
  const dir = join(stator.dataDir, "router", "certificates");
  const names = readdirSync(dir);
  expect(names.length).toBeGreaterThanOrEqual(10);
  for (const name of names) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  await startAgain();
});

test("an order that a kill -9 has interrupted is taken up again", async () => {
  for (const name of ["k1.shop.test", "k2.shop.test", "k3.shop.test"]) {
    await ok("domains:add", name, "-a", "shop");
    await Bun.sleep(Math.random() * 300);
    await stator.kill("SIGKILL");
    await startAgain();
  }
  await ok("domains:wait", "-a", "shop");
  for (const name of ["k1.shop.test", "k2.shop.test", "k3.shop.test"])
    expect((await tls(name)).status).toBe(200);
});

test("a domain that points elsewhere harms no other, says why, and is tried again when asked", async () => {
  const before = await fingerprint("www.shop.test");
  await pebble.dns("add-a", { host: "bad.test", addresses: ["127.0.0.9"] });
  await ok("domains:add", "bad.test", "-a", "shop");
  await ok("domains:add", "good.test", "-a", "shop");
  await ok("domains:wait", "good.test", "-a", "shop");
  const auto = async () => (await ok("certs:auto", "-a", "shop")).out;
  await until("it is failing", async () => (await auto()).includes("bad.test       Failing"));
  expect(await auto()).toContain(
    `bad.test is at 127.0.0.9, where port ${stator.port} can't be reached: open it, or point its DNS record here`,
  );
  await until("its log tells", async () =>
    (await shop.logs()).includes("No certificate for bad.test: bad.test is at 127.0.0.9"),
  );
  expect(tls("bad.test")).rejects.toThrow();
  expect(await (await plain("bad.test")).text()).toBe("version one");
  expect(await fingerprint("www.shop.test")).toBe(before);
  await pebble.dns("clear-a", { host: "bad.test" });
  await ok("certs:auto:refresh", "-a", "shop");
  await ok("certs:auto", "--wait", "-a", "shop");
  expect((await tls("bad.test")).status).toBe(200);
});

test("without automatic certificates a domain has none; with them again it has the old one", async () => {
  const before = await fingerprint("www.shop.test");
  await ok("certs:auto:disable", "-a", "shop", "--confirm", "shop");
  expect(tls("www.shop.test")).rejects.toThrow();
  expect((await ok("certs:auto", "-a", "shop")).out).toContain("is disabled on ⬢ shop");
  expect((await ok("certs:auto:enable", "-a", "shop")).err).toContain("starting. See status with");
  expect(await fingerprint("www.shop.test")).toBe(before);
});

test("certificates of one's own: checked, taken by the domains they are for, exact before wildcard, replaced live", async () => {
  const root = await makeCertificate(["root.test"], { isAuthority: true });
  const middle = await makeCertificate(["middle.test"], { isAuthority: true, signedBy: root });
  const write = async (file: string, names: string[], chain = middle) => {
    const made = await makeCertificate(names, { signedBy: chain });
    writeFileSync(join(person.cwd, `${file}.crt`), middle.certificate + made.certificate);
    writeFileSync(join(person.cwd, `${file}.key`), made.privateKey);
    return [`${file}.crt`, `${file}.key`] as const;
  };
  const wild = await write("wild", ["*.own.test", "own.test"]);
  const exact = await write("exact", ["exact.own.test"]);
  await ok("domains:add", "*.own.test", "-a", "shop");
  const added = await ok("certs:add", ...wild, "-a", "shop");
  const [, name = ""] = /use (cert-\d+) certificate/.exec(added.err) ?? [];
  expect(added.err).toBe(
    `Adding SSL certificate to ⬢ shop... done\nUpdating *.own.test to use ${name} certificate... done\n`,
  );
  expect(added.out).toContain("Common Name(s): *.own.test\n                own.test\n");
  expect(added.out).toEndWith("SSL certificate is not trusted.\n");
  const any = await tls("any.own.test");
  expect([any.body, any.certificate.subject]).toEqual(["version one", "CN=*.own.test"]);

  // Another app has a name below the wildcard, and its own certificate for it.
  await ok("certs:add", ...exact, "-a", "other");
  await ok("domains:add", "exact.own.test", "-a", "other");
  const chosen = await tls("exact.own.test");
  expect([chosen.body, chosen.certificate.subject]).toEqual(["version two", "CN=exact.own.test"]);

  const refused = async (...argv: string[]) => {
    const { status, err } = await person.stator(...argv);
    expect(status).toBe(1);
    return err;
  };
  expect(await refused("certs:add", "wild.crt", "exact.key", "-a", "shop")).toContain(
    "The private key does not belong to any certificate of the chain",
  );
  expect(await refused("certs:add", "wild.key", "wild.key", "-a", "shop")).toContain(
    "No certificate found",
  );
  expect(await refused("domains:add", "x.test", "--cert", name, "-a", "shop")).toContain(
    "The certificate is for *.own.test, own.test, not for x.test.",
  );
  expect((await ok("domains", "-a", "shop")).out).not.toContain("x.test");
  expect(await refused("certs:update", ...exact, "-a", "shop", "--confirm", "shop")).toContain(
    "The certificate is for exact.own.test, not for *.own.test.",
  );

  const kept = await openTlsClient(httpsPort, "any.own.test");
  const renewed = await write("renewed", ["*.own.test"]);
  await ok("certs:update", ...renewed, "-a", "shop", "--confirm", "shop");
  expect(await fingerprint("any.own.test")).not.toBe(any.certificate.fingerprint256);
  expect((await kept.ask()).body).toBe("version one");
  kept.close();

  // Near its end its app hears of it by itself, and after a crash not a second time.
  using store = new Database(join(stator.dataDir, "stator.db"));
  store.run("PRAGMA busy_timeout = 10000");
  store.run("UPDATE sni_endpoints SET startsAt = 0, expiresAt = ? WHERE name = ?", [
    Date.now() + 2.5 * 86_400_000,
    name,
  ]);
  const warnings = async () =>
    (await shop.logs())
      .split("\n")
      .filter((line) => line.includes(`app[api]: SSL certificate ${name} expires in 2 days, on `));
  await until("the app is warned", async () => (await warnings()).length > 0);
  expect((await warnings())[0]).toEndWith(
    `Renew it: stator certs:update CRT KEY --name ${name} (serves *.own.test)`,
  );
  await stator.kill("SIGKILL");
  await startAgain();
  await Bun.sleep(6_000);
  expect(await warnings()).toHaveLength(1);

  await ok("certs:remove", "-a", "other", "--confirm", "other");
  await ok("domains:wait", "exact.own.test", "-a", "other");
  expect((await tls("exact.own.test")).certificate.issuer).toContain("Pebble");
});

test("another authority with short-lived certificates: both take over without a dropped connection", async () => {
  const short = cleanup.use(await startPebble({ httpPort: stator.port, validitySeconds: 30 }));
  const kept = await openTlsClient(httpsPort, "www.shop.test");
  let failures: unknown[] = [];
  let going = true;
  const asking = (async () => {
    for (let count = 0; ; count++) {
      if (!going) return count;
      await Promise.all([kept.ask(), tls("www.shop.test")]).then(
        (answers) => failures.push(...answers.filter(({ status }) => status !== 200)),
        (error: unknown) => failures.push(error),
      );
      await Bun.sleep(20);
    }
  })();
  const old = kept.certificate;
  await chooseAuthority(short);
  const seen = new Map([[old.fingerprint256, old.issuer]]);
  await until("it was exchanged twice", async () => {
    const { certificate } = await tls("www.shop.test");
    seen.set(certificate.fingerprint256, certificate.issuer);
    return seen.size >= 3;
  });
  going = false;
  expect(await asking).toBeGreaterThan(20);
  kept.close();
  expect(failures).toEqual([]);
  const [first, second, third] = [...seen.values()];
  expect(first).toBe(old.issuer);
  expect(second).not.toBe(first);
  expect(third).toBe(second);
  await chooseAuthority(pebble);
});

test("with a hook for DNS, wildcards of apps and of the platform itself get certificates", async () => {
  const hook = join(person.cwd, "hook");
  const record = '{\\"host\\":\\"$2.\\",\\"value\\":\\"$3\\"}';
  writeFileSync(
    hook,
    `#!/bin/sh
case $1 in present) verb=set-txt ;; remove) verb=clear-txt ;; esac
exec curl -fsS -d "${record}" ${pebble.dnsManagementUrl}/$verb
`,
    { mode: 0o700 },
  );
  await ok("domains:add", "*.wild.test", "-a", "shop");
  await until("it needs the hook", async () =>
    (await ok("certs:auto", "-a", "shop")).out.includes("*.wild.test needs DNS-01"),
  );
  await chooseAuthority(pebble, { STATOR_ACME_DNS_HOOK: hook });
  await ok("certs:auto:refresh", "-a", "shop");
  await ok("domains:wait", "*.wild.test", "-a", "shop");
  const answer = await tls("any.wild.test");
  expect([answer.body, answer.certificate.subjectAltName]).toEqual([
    ...["version one", "DNS:*.wild.test"],
  ]);
  expect(tls("a.b.wild.test")).rejects.toThrow();
  for (const host of ["empty.localhost", "api.localhost"])
    await until(`${host} has the platform's`, async () =>
      (await tls(host)).certificate.subjectAltName!.startsWith("DNS:*.localhost"),
    );
  await chooseAuthority(pebble);
});

test("visitors: addresses, passwords, HTTPS and limits hold at once, and let go at once", async () => {
  const host = "www.shop.test";
  await until("shop is up", async () => (await plain(host)).status === 200);
  await ok("visitors:allow", "192.0.2.0/24", "2001:db8::/32", "-a", "shop");
  expect((await plain(host)).status).toBe(403);
  expect((await plain("other.localhost")).status).toBe(200);
  await ok("visitors:allow", "127.0.0.0/8", "-a", "shop");
  expect((await plain(host)).status).toBe(200);
  const wrong = await person.stator("visitors:allow", "300.1.1.1", "-a", "shop");
  expect(wrong.err).toContain('"300.1.1.1" is no address and no range of them');
  await ok("visitors:allow", "--all", "-a", "shop");

  const child = person.start(["visitors:password", "guest", "-a", "shop"], { input: "s3cret\n" });
  expect(await child.exited).toBe(0);
  expect((await plain(host)).status).toBe(401);
  const authorization = (word: string) => ({
    authorization: `Basic ${Buffer.from(`guest:${word}`).toString("base64")}`,
  });
  expect((await plain(host, "/", authorization("wrong"))).status).toBe(401);
  expect((await plain(host, "/", authorization("s3cret"))).status).toBe(200);
  expect(JSON.parse((await ok("visitors", "--json", "-a", "shop")).out)).toMatchObject({
    passwords: ["guest"],
  });
  await ok("visitors:password", "guest", "--remove", "-a", "shop");
  expect((await plain(host)).status).toBe(200);

  await ok("visitors:https", "--redirect", "on", "--hsts", "1h", "--subdomains", "-a", "shop");
  const redirected = await plain(host, "/a?b=c");
  expect([redirected.status, redirected.headers.get("location")]).toEqual([
    301,
    `https://www.shop.test:${httpsPort}/a?b=c`,
  ]);
  const { status, headers } = await tls(host);
  expect([status, headers.get("strict-transport-security")]).toEqual([
    200,
    "max-age=3600; includeSubDomains",
  ]);
  await ok("visitors:https", "--redirect", "off", "--hsts", "off", "-a", "shop");

  await ok("visitors:limit", "--client", "2/h", "-a", "shop");
  expect((await ok("visitors", "-a", "shop")).out).toContain("Limit of each address: 2/h");
  const statuses = [];
  for (let index = 0; index < 3; index++) statuses.push((await plain(host)).status);
  expect(statuses).toEqual([200, 200, 429]);
  await ok("visitors:limit", "--client", "off", "-a", "shop");
  expect((await plain(host)).status).toBe(200);
});

test("clauses 50, 51, 53: maintenance with a page of the app's own, and affinity, go through to the router", async () => {
  const host = "www.shop.test";
  const page = "https://pages.example/maintenance";
  await ok("config:set", `MAINTENANCE_PAGE_URL=${page}`, "-a", "shop");
  await ok("maintenance:on", "-a", "shop");
  const answer = await plain(host);
  expect(answer.status).toBe(503);
  expect(await answer.text()).toContain(page);
  await ok("maintenance:off", "-a", "shop");
  await until("it is up again", async () => (await plain(host)).status === 200);
  expect((await plain(host)).headers.get("set-cookie")).toBeNull();
  await ok("features:enable", "http-session-affinity", "-a", "shop");
  expect((await plain(host)).headers.get("set-cookie")).toStartWith("heroku-session-affinity=");
});

test("clause 95: a renamed app keeps its domains, a destroyed one leaves them to others", async () => {
  await ok("rename", "store", "-a", "shop");
  expect((await ok("domains", "-a", "store")).out).toContain("www.shop.test  CNAME");
  expect((await tls("www.shop.test")).body).toBe("version one");
  const taken = await person.stator("domains:add", "www.shop.test", "-a", "other");
  expect(taken.err).toContain("www.shop.test is currently in use by another app.");
  await ok("destroy", "-a", "store", "--confirm", "store");
  expect((await plain("www.shop.test")).status).toBe(404);
  expect(tls("www.shop.test")).rejects.toThrow();
  await ok("domains:add", "www.shop.test", "-a", "other", "--wait");
  expect((await tls("www.shop.test")).body).toBe("version two");
  await ok("domains:clear", "-a", "other", "--confirm", "other");
  expect((await plain("www.shop.test")).status).toBe(404);
});
