import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAccount } from "../../src/model/account.ts";
import { type App, createApp, deleteApp, updateApp } from "../../src/model/app.ts";
import {
  forgetAutomaticCertificates,
  listAutomaticCertificates,
  lookUpAcmeAccount,
  saveAcmeAccount,
  saveAutomaticCertificate,
} from "../../src/model/automatic-certificate.ts";
import { closeDatabase, openDatabase } from "../../src/model/database.ts";
import {
  createDomain,
  listDomains,
  lookUpDomain,
  normalizedHostname,
} from "../../src/model/domain.ts";
import { openVault } from "../../src/model/vault.ts";

function store() {
  const folder = mkdtempSync(join(tmpdir(), "stator-domains-"));
  const database = openDatabase(":memory:");
  const owner = createAccount(database, "owner@example.com");
  const stranger = createAccount(database, "stranger@example.com");
  const make = (name: string, account = owner) =>
    createApp(database, { name, owner: account, stack: "heroku-24" });
  const [shop, blog, strange] = [make("shop"), make("blog"), make("strange", stranger)];
  return {
    ...{ database, shop, blog, strange, vault: openVault(join(folder, "key")) },
    add: (app: App, hostname: string) =>
      createDomain(database, {
        ...{ app, hostname, platformDomain: "paas.example.com", sniEndpointId: null },
      }),
    [Symbol.dispose]() {
      closeDatabase(database);
      rmSync(folder, { recursive: true });
    },
  };
}

test("a name is kept in one spelling: lower case, no dot at its end, ASCII", () => {
  for (const [given, kept] of [
    ["www.example.com", "www.example.com"],
    [" WWW.Example.COM. ", "www.example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["*.Bücher.example", "*.xn--bcher-kva.example"],
    ["例え.テスト", "xn--r8jz45g.xn--zckzah"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    [`${"a".repeat(63)}.test`, `${"a".repeat(63)}.test`],
  ] as const)
    expect(normalizedHostname(given)).toBe(kept);
});

test("what is no name is refused, with what was given", () => {
  const noNames = ["", ".", "com", "*", "*.", "*.com", "a..test", "-a.test", "a-.test", "a b.test"];
  const others = ["http://a.test", "a.test/x", "a.test:80", "a.test?x", "a@b.test", "a%2e.test"];
  const more = [
    "127.0.0.1",
    "::1",
    "[::1]",
    "1.2.3",
    "0x7f.1",
    "*.*.test",
    "a.*.test",
    "**.a.test",
  ];
  const odd = ["a_b.test", "a.test..", "a\u0000.test", `${"a".repeat(64)}.test`, "a.xn--\u00df"];
  const long = `${"a.".repeat(127)}test`;
  for (const text of [...noNames, ...others, ...more, ...odd, long])
    expect(() => normalizedHostname(text), JSON.stringify(text)).toThrow("is not a domain name");
});

test("a name is had once, in whatever spelling, and is free again when its app is gone", () => {
  using world = store();
  const { database, shop, blog } = world;
  world.add(shop, "www.example.org");
  expect(() => world.add(shop, "WWW.example.org.")).toThrow(
    "www.example.org is a domain of shop already.",
  );
  expect(() => world.add(blog, "WWW.example.org")).toThrow(
    "www.example.org is currently in use by another app.",
  );
  const renamed = updateApp(database, shop, { name: "store" });
  expect(lookUpDomain(database, renamed, "Www.Example.Org.")?.hostname).toBe("www.example.org");
  expect(lookUpDomain(database, blog, "www.example.org")).toBeUndefined();
  deleteApp(database, renamed);
  expect(world.add(blog, "www.example.org").appId).toBe(blog.id);
  expect(listDomains(database).map(({ hostname }) => hostname)).toEqual(["www.example.org"]);
});

test("the platform's own names are nobody's domains, nor a part of a wildcard", () => {
  using world = store();
  for (const name of [
    "paas.example.com",
    "api.paas.example.com",
    "x.y.PAAS.example.com",
    "*.paas.example.com",
  ])
    expect(() => world.add(world.shop, name)).toThrow("belongs to this server itself");
  expect(() => world.add(world.shop, "*.example.com")).toThrow("would be a part of it");
  for (const name of ["example.com", "xpaas.example.com", "paas.example.com.evil.test"])
    expect(world.add(world.shop, name).hostname).toBe(name);
});

test("below a wildcard only its owner's apps have names, and over names of others there is none", () => {
  using world = store();
  const { shop, blog, strange } = world;
  world.add(shop, "*.a.test");
  expect(world.add(blog, "x.a.test").appId).toBe(blog.id);
  world.add(blog, "*.y.a.test");
  for (const name of ["z.a.test", "deep.z.a.test", "*.z.a.test"])
    expect(() => world.add(strange, name)).toThrow(
      "*.a.test is currently in use by another app, whose owner is somebody else.",
    );
  world.add(strange, "one.b.test");
  expect(() => world.add(shop, "*.b.test")).toThrow(
    "one.b.test is currently in use by another app",
  );
  expect(world.add(strange, "a.test").hostname).toBe("a.test");
});

test("an app has a thousand domains at most", () => {
  using world = store();
  world.database.transaction(() => {
    for (let index = 0; index < 1000; index++) world.add(world.shop, `d${index}.test`);
  });
  expect(() => world.add(world.shop, "one-more.test")).toThrow("shop has 1000 domains");
  world.add(world.blog, "one-more.test");
});

test("private keys of accounts and certificates are sealed in the store", () => {
  using world = store();
  const { database, vault } = world;
  const account = {
    directoryUrl: "https://ca.test/dir",
    url: "https://ca.test/1",
    privateKey: "the-secret",
  };
  saveAcmeAccount(database, vault, account);
  expect(lookUpAcmeAccount(database, vault, account.directoryUrl)).toEqual(account);
  expect(lookUpAcmeAccount(database, vault, "https://other.test/dir")).toBeUndefined();
  const bytes = database.$client.serialize();
  expect(bytes.includes(Buffer.from("https://ca.test/1"))).toBe(true);
  expect(bytes.includes(Buffer.from("the-secret"))).toBe(false);
});

test("what is known of a host stays without its domain as long as its certificate is good", () => {
  using world = store();
  const save = (host: string, expiresAt: Date | null) =>
    saveAutomaticCertificate(world.database, {
      ...{ host, expiresAt, status: "issued", reason: null, failures: 0 },
      ...{ nextAttemptAt: new Date(0), certificateChain: null, sealedKey: null },
      ...{ directoryUrl: null, issuer: null, startsAt: null },
    });
  save("good.test", new Date(2000));
  save("old.test", new Date(1000));
  save("never.test", null);
  save("wanted.test", null);
  const wanted = new Map([["wanted.test", null]]);
  forgetAutomaticCertificates(world.database, { wanted, now: new Date(1500) });
  const left = listAutomaticCertificates(world.database).map(({ host }) => host);
  expect(left.sort()).toEqual(["good.test", "wanted.test"]);
});
