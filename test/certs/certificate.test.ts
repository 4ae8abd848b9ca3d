import { describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkCertificate, coversHost } from "../../src/certs/certificate.ts";
import { openCertificateFolder } from "../../src/certs/certificate-files.ts";
import { makeCertificate } from "./make-certificate.ts";

const root = await makeCertificate(["root.test"], { isAuthority: true });
const middle = await makeCertificate(["middle.test"], { isAuthority: true, signedBy: root });
const leaf = await makeCertificate(["A.test", "*.b.test"], { signedBy: middle });
const other = await makeCertificate(["other.test"]);
const dayMs = 86_400_000;

describe("a certificate that someone brings", () => {
  test("is put in order with its chain, and tells its names and dates", () => {
    const text = [middle, leaf, root].map(({ certificate }) => certificate).join("\n");
    const checked = checkCertificate(`notes\r\n${text}`, leaf.privateKey);
    expect(checked).toMatchObject({
      names: ["a.test", "*.b.test"],
      issuer: "CN=authority middle.test",
      selfSigned: false,
    });
    expect(checked.notAfterMs - checked.notBeforeMs).toBe(30 * dayMs);
    const order = [leaf, middle, root].map(({ certificate }) => certificate.trim()).join("\n");
    expect(checked.certificateChain).toBe(`${order}\n`);
    expect(checkCertificate(other.certificate, other.privateKey).selfSigned).toBe(true);
  });

  const nameless = makeCertificate([]);
  const refusals: [what: string, sentence: string, () => Promise<unknown>][] = [
    [
      "with another's key",
      "does not belong to",
      async () => check(leaf.certificate, other.privateKey),
    ],
    ["without any", "No certificate found", async () => check("hello", leaf.privateKey)],
    [
      "that can't be read",
      "Certificate 1 of the chain can't be read",
      async () =>
        check("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", leaf.privateKey),
    ],
    ["without a key", "The private key can't be read", async () => check(leaf.certificate, "")],
    [
      "with an encrypted key",
      "The private key is encrypted",
      async () => check(leaf.certificate, "-----BEGIN ENCRYPTED PRIVATE KEY-----"),
    ],
    [
      "whose chain is broken",
      "CN=authority root.test did not sign CN=A.test",
      async () => check(leaf.certificate + root.certificate, leaf.privateKey),
    ],
    [
      "with a stranger in its chain",
      "CN=other.test did not sign",
      async () => check(leaf.certificate + middle.certificate + other.certificate, leaf.privateKey),
    ],
    [
      "that has expired",
      "The certificate of CN=A.test expired on",
      async () => check(leaf.certificate, leaf.privateKey, Date.now() + 31 * dayMs),
    ],
    [
      "that is not valid yet",
      "not valid before",
      async () => check(leaf.certificate, leaf.privateKey, Date.now() - dayMs),
    ],
    [
      "without a name",
      "names no host",
      async () => check((await nameless).certificate, (await nameless).privateKey),
    ],
  ];
  const check = checkCertificate;
  for (const [what, sentence, attempt] of refusals)
    test(`is refused ${what}`, () => expect(attempt()).rejects.toThrow(sentence));
});

test("a name of a certificate is good for itself, a wildcard for one label", () => {
  const names = ["a.test", "*.b.test"];
  expect(["a.test", "x.b.test"].every((host) => coversHost(names, host))).toBe(true);
  for (const host of ["b.test", "x.y.b.test", "x.a.test", "b", "*.a.test"])
    expect([host, coversHost(names, host)]).toEqual([host, false]);
});

test("the router's files are never changed, only made and taken away, and are nobody else's to read", async () => {
  const dir = await mkdtemp(join(tmpdir(), "stator-certificates-"));
  const folder = openCertificateFolder(join(dir, "certificates"));
  const one = folder.put({
    hosts: ["a.test"],
    certificateChain: "one",
    privateKey: () => "secret",
  });
  const two = folder.put({
    hosts: ["a.test"],
    certificateChain: "two",
    privateKey: () => "secret",
  });
  expect(one.certificatePath).not.toBe(two.certificatePath);
  expect(
    folder.put({ hosts: [], certificateChain: "one", privateKey: () => "secret" }),
  ).toMatchObject({
    certificatePath: one.certificatePath,
  });
  expect(await readFile(two.certificatePath, "utf8")).toBe("two");
  expect((await stat(two.privateKeyPath)).mode & 0o777).toBe(0o600);
  folder.retain([two]);
  expect(await readdir(join(dir, "certificates"))).toHaveLength(2);
  await rm(dir, { recursive: true });
});
