import { afterAll, beforeAll, expect, test } from "bun:test";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import {
  type AutomaticCertificateRow,
  saveAutomaticCertificate,
} from "../../src/model/automatic-certificate.ts";
import { makeCertificate } from "../certs/make-certificate.ts";
import { commandLine } from "../helpers/command-line.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let person: ReturnType<typeof commandLine>;
beforeAll(() => {
  served = serveLocalPlatform();
  person = commandLine({ STATOR_API: served.apiUrl, STATOR_API_KEY: served.token });
});
afterAll(async () => {
  person.remove();
  await served.stop();
});

let number = 0;
async function makeApp(): Promise<string> {
  const name = `shop-${++number}`;
  await served.platform.createApp({ name, user: served.account });
  return name;
}

/** Runs a command that must succeed. */
async function ok(...argv: string[]) {
  const { status, out, err } = await person.stator(...argv);
  expect(`${argv.join(" ")}: ${status}${status === 0 ? "" : err}`).toBe(`${argv.join(" ")}: 0`);
  return { out, err };
}

async function refused(...argv: string[]) {
  const { status, err } = await person.stator(...argv);
  expect(`${argv.join(" ")}: ${status}`).not.toBe(`${argv.join(" ")}: 0`);
  return err;
}

function certificateOf(
  host: string,
  change: Pick<AutomaticCertificateRow, "status"> & Partial<AutomaticCertificateRow>,
) {
  saveAutomaticCertificate(served.platform.database, {
    ...{ host, reason: null, failures: 0, nextAttemptAt: new Date(0), certificateChain: null },
    ...{ sealedKey: null, directoryUrl: null, issuer: null, startsAt: null, expiresAt: null },
    ...change,
  });
}

async function writeCertificate(file: string, names: string[]) {
  const made = await makeCertificate(names);
  writeFileSync(join(person.cwd, `${file}.crt`), made.certificate);
  writeFileSync(join(person.cwd, `${file}.key`), made.privateKey);
  return [`${file}.crt`, `${file}.key`] as const;
}

test("domains are listed as Heroku does it, with the record that each needs", async () => {
  const app = await makeApp();
  expect((await ok("domains", "-a", app)).out).toBe(
    `=== ⬢ ${app} Heroku Domain\n\n${app}.localhost\n`,
  );
  const apex = await ok("domains:add", "list.example", "-a", app);
  expect(apex.err).toBe(`Adding list.example to ⬢ ${app}... done\n`);
  expect(apex.out).toStartWith(
    `Configure your app's DNS provider to point to the DNS Target ${app}.localhost.\n    list.example  A  203.0.113.7\n`,
  );
  for (const name of ["www.list.example", "*.list.example", "list.co.uk"])
    await ok("domains:add", name, "-a", app);
  expect((await ok("domains", "-a", app)).out).toBe(
    `=== ⬢ ${app} Heroku Domain

${app}.localhost

=== ⬢ ${app} Custom Domains

Domain Name       DNS Record Type  DNS Target        SNI Endpoint
*.list.example    CNAME            ${app}.localhost
list.co.uk        ALIAS or ANAME   ${app}.localhost
list.example      ALIAS or ANAME   ${app}.localhost
www.list.example  CNAME            ${app}.localhost
`,
  );
  const all = JSON.parse((await ok("domains", "-a", app, "--json")).out) as unknown[];
  expect(all).toHaveLength(5);
  expect((await ok("domains:info", "*.list.example", "-a", app)).out).toContain(
    "hostname:      *.list.example\n",
  );
  expect((await ok("domains:remove", "LIST.co.uk", "-a", app)).err).toBe(
    `Removing LIST.co.uk from ⬢ ${app}... done\n`,
  );
  expect(await refused("domains:clear", "-a", app, "--confirm", "other")).toContain("Aborted");
  await ok("domains:clear", "-a", app, "--confirm", app);
  expect((await ok("domains", "-a", app)).out).not.toContain("Custom");
});

test("who waits for a domain is told what is in the way, and when nothing is any more", async () => {
  const app = await makeApp();
  await ok("domains:add", "wait.test", "-a", app);
  certificateOf("wait.test", { status: "failing", reason: "It points elsewhere.", failures: 1 });
  const waiting = ok("domains:wait", "wait.test", "-a", app);
  await Bun.sleep(1500);
  certificateOf("wait.test", { status: "issued", startsAt: new Date(0), expiresAt: new Date() });
  expect((await waiting).err).toBe("Waiting for wait.test... \n ▸    It points elsewhere.\ndone\n");
  certificateOf("wait.test", { status: "failing", reason: "It points elsewhere.", failures: 6 });
  expect(await refused("domains:wait", "-a", app)).toContain(
    " ▸    wait.test has no certificate: It points elsewhere.\n ▸    See stator certs:auto",
  );
  expect((await ok("certs:auto", "-a", app)).out).toBe(
    `=== Automatic Certificate Management is enabled on ⬢ ${app}

Domain     Status  Expires  Reason
wait.test  Failed           It points elsewhere.

When it is put right, they are tried again: stator certs:auto:refresh, or by themselves
`,
  );
});

test("a certificate of one's own goes to the domains that it is for and that have none yet", async () => {
  const app = await makeApp();
  expect((await ok("certs", "-a", app)).out).toBe(
    `⬢ ${app} has no SSL certificates.\nUse stator certs:add CRT KEY to add one.\n`,
  );
  for (const name of ["a.own.test", "b.own.test", "else.test"])
    await ok("domains:add", name, "-a", app);
  const { out, err } = await ok(
    ...["certs:add", ...(await writeCertificate("one", ["*.own.test"])), "-a", app],
  );
  const [, name = ""] = /(cert-\d+)/.exec(err) ?? [];
  expect(err).toBe(
    `Adding SSL certificate to ⬢ ${app}... done\nUpdating a.own.test to use ${name} certificate... done\nUpdating b.own.test to use ${name} certificate... done\n`,
  );
  expect(out).toMatch(
    /^Certificate details:\nCommon Name\(s\): \*\.own\.test\nExpires At: {5}\d{4}-\d\d-\d\d \d\d:\d\d UTC\nIssuer: {9}CN=\*\.own\.test\nStarts At: {6}.* UTC\nSubject: {8}CN=\*\.own\.test\nSSL certificate is self signed\.\n$/,
  );
  expect((await ok("certs", "-a", app)).out).toMatch(
    /^Name +Common Name\(s\) +Expires +Trusted +Type +Domains\ncert-\d+ +\*\.own\.test +.* UTC +False +SNI +2\n$/,
  );
  served.platform.database.$client.run(
    "UPDATE sni_endpoints SET startsAt = 0, expiresAt = ? WHERE name = ?",
    [Date.now() + 86_400_000 * 2.5, name],
  );
  const warning = new RegExp(
    `\\nSSL certificate ${name} expires in 2 days, on .* UTC\\. Renew it: stator certs:update CRT KEY --name ${name}\\n$`,
  );
  expect((await ok("certs", "-a", app)).out).toMatch(warning);
  expect((await ok("certs:info", "-a", app)).out).toMatch(warning);
  await ok("domains:add", "c.own.test", "-a", app);
  expect((await ok("certs:info", "--show-domains", "-a", app)).out).toContain(
    "Domain(s):      a.own.test\n                b.own.test\n                c.own.test\n",
  );

  const second = await writeCertificate("two", ["a.own.test", "b.own.test", "c.own.test"]);
  const { out: added } = await ok("certs:add", ...second, "-a", app);
  expect(added).toContain("No domain of the app takes it yet");
  expect(await refused("certs:info", "-a", app)).toContain("Must pass --name when more than one");
  expect(await refused("certs:info", "--name", "nope", "-a", app)).toContain("no SSL certificate");
  expect(await refused("domains:update", "a.own.test", "-a", app)).toContain("Give one of --cert");
  expect((await ok("domains:update", "a.own.test", "--auto", "-a", app)).err).toBe(
    "Updating a.own.test to use an automatic certificate... done\n",
  );
  await ok("certs:remove", "--name", name, "-a", app, "--confirm", app);
  expect((await ok("certs:update", ...second, "-a", app, "--confirm", app)).out).toStartWith(
    "Updated certificate details:\n",
  );
  expect(await refused("certs:add", "absent.crt", "two.key", "-a", app)).toContain(
    "absent.crt can't be read",
  );
});

test("a key and a request are made here, and take no file's place", async () => {
  const app = await makeApp();
  const made = await ok(
    ...["certs:generate", "*.made.test", "--owner", "A/B=C", "--country", "DE", "-a", app],
  );
  expect(made.err).toBe(
    "Your key and certificate signing request have been generated.\nSubmit the CSR in 'wildcard.made.test.csr' to your preferred certificate authority.\nWhen you've received your certificate, run:\n$ stator certs:add CERTFILE wildcard.made.test.key\n",
  );
  const keyPath = join(person.cwd, "wildcard.made.test.key");
  expect(statSync(keyPath).mode & 0o777).toBe(0o600);
  const request = await execOk([
    ...(["openssl", "req", "-noout", "-verify", "-text", "-in"] as const),
    join(person.cwd, "wildcard.made.test.csr"),
  ]);
  expect(request).toContain("DNS:*.made.test");
  expect(request).toMatch(/Subject: C ?= ?DE, O ?= ?A\/B=C, CN ?= ?\*\.made\.test/);
  expect(await refused("certs:generate", "*.made.test", "-a", app)).toContain(
    "wildcard.made.test.key is there already",
  );
  const own = await ok("certs:generate", "own.made.test", "--selfsigned", "-a", app);
  expect(own.err).toEndWith("$ stator certs:add own.made.test.crt own.made.test.key\n");
  await ok("certs:add", "own.made.test.crt", "own.made.test.key", "-a", app);
  expect(await refused("certs:generate", "../x", "-a", app)).toContain("is not a domain");
  expect(await refused("certs:generate", "x.test", "--keysize", "512", "-a", app)).toContain(
    "must be 2048, 3072 or 4096",
  );
});

test("rules for visitors are shown in words, and wrong ones are told before anything is asked", async () => {
  const app = await makeApp();
  expect((await ok("visitors", "-a", app)).out).toBe(
    `=== ⬢ ${app} Visitors

Addresses:             all
Passwords:             none asked for
HTTP:                  served
HSTS:                  off
Limit of each address: off
Limit in all:          off
`,
  );
  expect((await ok("visitors:allow", "192.0.2.7", "::1", "-a", app)).err).toBe(
    `Allowing only 192.0.2.7, ::1 on ⬢ ${app}... done\n`,
  );
  await ok("visitors:limit", "--client", "10/s", "--total", "100/30s", "-a", app);
  await ok("visitors:https", "--redirect", "on", "--hsts", "365d", "--preload", "-a", app);
  expect((await ok("visitors", "-a", app)).out).toContain(
    `Addresses:             192.0.2.7
                       ::1
Passwords:             none asked for
HTTP:                  redirected to HTTPS
HSTS:                  365d, preload
Limit of each address: 10/s
Limit in all:          100/30s
`,
  );
  for (const [argv, sentence] of [
    [["visitors:allow"], "Give addresses, as 192.0.2.0/24, or --all"],
    [["visitors:allow", "::1", "--all"], "Give addresses, as 192.0.2.0/24, or --all"],
    [["visitors:limit"], "Give --client RATE or --total RATE"],
    [["visitors:limit", "--client", "fast"], "--client is fast, but must be a rate"],
    [["visitors:limit", "--total", "0/s"], "--total is 0/s, but must be a rate"],
    [["visitors:https"], "Give --redirect on|off or --hsts TIME|off"],
    [["visitors:https", "--redirect", "maybe"], "--redirect is maybe, but must be on or off"],
    [["visitors:https", "--hsts", "soon"], "--hsts is soon, but must be a time"],
  ] as const)
    expect(await refused(...argv, "-a", app)).toContain(sentence);
});
