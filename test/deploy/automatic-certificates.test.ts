import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  type AutomaticCertificate,
  pendingCertificate,
} from "../../src/certs/automatic-certificates.ts";
import { automaticHosts, createCertificateStore } from "../../src/deploy/automatic-certificates.ts";
import { type App, updateApp } from "../../src/model/app.ts";
import { lookUpAutomaticCertificate } from "../../src/model/automatic-certificate.ts";
import { createDomain, updateDomain } from "../../src/model/domain.ts";
import { createSniEndpoint } from "../../src/model/sni-endpoint.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
beforeAll(() => {
  served = serveLocalPlatform();
});
afterAll(() => served.stop());

const names = { domain: "paas.test", hasDnsHook: false };
let number = 0;
let app: App;
beforeEach(async () => {
  app = await served.platform.createApp({ name: `shop-${++number}`, user: served.account });
});

const addDomain = (hostname: string) =>
  createDomain(served.platform.database, {
    ...{ app, hostname, platformDomain: "paas.test", sniEndpointId: null },
  });
const wanted = (of = names) => [...automaticHosts(served.platform.database, of).keys()];

function openStore(directoryUrl: string) {
  const said: string[] = [];
  const { database, vault } = served.platform;
  const tell = (to: App | null, message: string) =>
    void said.push(`${to?.name ?? "operator"}: ${message}`);
  const store = createCertificateStore({ database, vault, names, directoryUrl, tell });
  const of = (host: string) => store.list().find((one) => one.host === host);
  return {
    ...{ store, said, of },
    row: (host: string) => lookUpAutomaticCertificate(database, host),
  };
}

test("wanted are the platform's names, apps with code, and domains without a certificate of their own", () => {
  const { database, vault } = served.platform;
  expect(wanted()).toEqual(["api.paas.test", "git.paas.test"]);
  served.deploy(app, { web: "npm start" });
  const own = `${app.name}.paas.test`;
  const domain = addDomain("a.example");
  addDomain("b.example");
  expect(wanted()).toEqual(["api.paas.test", "git.paas.test", own, "a.example", "b.example"]);
  expect(wanted({ ...names, hasDnsHook: true })).toEqual(["*.paas.test", "a.example", "b.example"]);
  const endpoint = createSniEndpoint(database, vault, {
    app,
    content: {
      ...{ certificateChain: "", privateKey: "", certificateNames: [], issuer: "", subject: "" },
      ...{ selfSigned: true, trusted: false, startsAt: new Date(), expiresAt: new Date() },
    },
  });
  updateDomain(database, domain, { sniEndpointId: endpoint.id });
  expect(wanted()).toEqual(["api.paas.test", "git.paas.test", own, "b.example"]);
  app = updateApp(database, app, { acm: false });
  expect(wanted()).toEqual(["api.paas.test", "git.paas.test", own]);
});

test("what comes of a name is told once, to its app or to the operator; other names are not brought back", () => {
  addDomain("told.example");
  const { store, said, row } = openStore("https://one.test/dir");
  const failing = (host: string, reason: string, failures = 1) =>
    store.save({ ...pendingCertificate(host), status: "failing", reason, failures });
  failing("told.example", "It points elsewhere.");
  failing("told.example", "It points elsewhere.", 2);
  failing("told.example", "Port 80 is closed.", 3);
  failing("api.paas.test", "It has no address.");
  failing("gone.example", "It points elsewhere.");
  expect(said).toEqual([
    `${app.name}: No certificate for told.example: It points elsewhere.`,
    `${app.name}: No certificate for told.example: Port 80 is closed.`,
    "operator: No certificate for api.paas.test: It has no address.",
  ]);
  expect(row("told.example")?.failures).toBe(3);
  expect(row("gone.example")).toBeUndefined();
  store.close();
  failing("told.example", "Too late.");
  expect(row("told.example")?.reason).toBe("Port 80 is closed.");
});

test("another authority is asked at once; what is known of the one that serves stays until it has signed", () => {
  addDomain("moved.example");
  const [first, second] = [openStore("https://one.test/dir"), openStore("https://two.test/dir")];
  const issued: AutomaticCertificate = {
    ...{ ...pendingCertificate("moved.example"), status: "issued", nextAttemptAtMs: 5_000 },
    ...{ certificateChain: "CHAIN", privateKey: "KEY", issuer: "One" },
    ...{ notBeforeMs: 1_000, notAfterMs: Date.now() + 9e9 },
  };
  first.store.save(issued);
  expect(first.of("moved.example")).toEqual(issued);
  const due = second.of("moved.example")!;
  expect(due).toEqual({ ...issued, nextAttemptAtMs: 0, notBeforeMs: null, notAfterMs: null });
  second.store.save({ ...due, status: "failing", reason: "No.", failures: 1, nextAttemptAtMs: 7 });
  expect(second.row("moved.example")).toMatchObject({
    ...{ startsAt: new Date(1_000), directoryUrl: "https://one.test/dir", status: "failing" },
    ...{ certificateChain: "CHAIN" },
  });
  // It waits as any other that has failed.
  expect(second.of("moved.example")?.nextAttemptAtMs).toBe(7);
  second.store.save({ ...issued, certificateChain: "SECOND" });
  expect(second.of("moved.example")?.notBeforeMs).toBe(1_000);
  expect(second.row("moved.example")?.directoryUrl).toBe("https://two.test/dir");
});

test("a key that can't be read is no certificate, and takes no other name with it", () => {
  addDomain("odd.example");
  addDomain("even.example");
  const { store, of } = openStore("https://one.test/dir");
  for (const host of ["odd.example", "even.example"])
    store.save({ ...pendingCertificate(host), certificateChain: "CHAIN", privateKey: "KEY" });
  served.platform.database.$client.run(
    "UPDATE automatic_certificates SET sealedKey = x'00' WHERE host = 'odd.example'",
  );
  expect(of("odd.example")).toMatchObject({ certificateChain: null, privateKey: null });
  expect(of("even.example")).toMatchObject({ certificateChain: "CHAIN", privateKey: "KEY" });
});
