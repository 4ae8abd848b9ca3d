import { afterAll, beforeAll, expect, test } from "bun:test";
import { warnOfExpiry } from "../../src/deploy/certificates.ts";
import type { App } from "../../src/model/app.ts";
import { createDomain } from "../../src/model/domain.ts";
import { createSniEndpoint, replaceSniEndpoint } from "../../src/model/sni-endpoint.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
beforeAll(() => {
  served = serveLocalPlatform();
});
afterAll(() => served.stop());

const dayMs = 86_400_000;
const endMs = Date.UTC(2027, 0, 31, 9, 5);
const contentUntil = (expiresMs: number) => ({
  ...{ certificateChain: "", privateKey: "", certificateNames: [], issuer: "", subject: "" },
  ...{ selfSigned: true, trusted: false },
  ...{ startsAt: new Date(expiresMs - 365 * dayMs), expiresAt: new Date(expiresMs) },
});

async function appWithCertificate(name: string, hosts: string[], expiresMs = endMs) {
  const { platform, account } = served;
  const { database, vault } = platform;
  const app = await platform.createApp({ name, user: account });
  const endpoint = createSniEndpoint(database, vault, { app, content: contentUntil(expiresMs) });
  for (const hostname of hosts)
    createDomain(database, {
      ...{ app, hostname, platformDomain: "paas.test", sniEndpointId: endpoint.id },
    });
  return { app, endpoint };
}

async function linesOf(app: App): Promise<string[]> {
  const lines = await served.platform.logs.read(app.id, { lines: 100 });
  return lines.flatMap(({ source, dyno, message }) =>
    message.startsWith("SSL ") ? [`${source}[${dyno}]: ${message}`] : [],
  );
}

test("an app is told once a day that a certificate of its own ends soon, until it has another", async () => {
  const { database, vault } = served.platform;
  const { app, endpoint } = await appWithCertificate("shop", ["a.example", "b.example"]);
  const later = await appWithCertificate("later", ["c.example"], endMs + 365 * dayMs);
  const unused = await appWithCertificate("unused", []);
  // Each call is that of a server that has just started: nothing is remembered but in the store.
  const look = (leftMs: number) => warnOfExpiry(served.platform, endMs - leftMs);
  look(31 * dayMs);
  expect(await linesOf(app)).toEqual([]);
  look(29.5 * dayMs);
  look(29.5 * dayMs - 5_000);
  look(28.6 * dayMs);
  const line = (words: string) =>
    `app[api]: SSL certificate ${endpoint.name} ${words} 2027-01-31 09:05 UTC. Renew it: stator certs:update CRT KEY --name ${endpoint.name} (serves a.example, b.example)`;
  expect(await linesOf(app)).toEqual([line("expires in 29 days, on")]);
  look(28.5 * dayMs);
  look(-dayMs);
  expect((await linesOf(app)).slice(1)).toEqual([
    line("expires in 28 days, on"),
    line("expired on"),
  ]);
  for (const other of [later.app, unused.app]) expect(await linesOf(other)).toEqual([]);

  // Another in its place that ends soon, too, is told of at once.
  replaceSniEndpoint(database, vault, { endpoint, content: contentUntil(endMs + 2.5 * dayMs) });
  look(-dayMs);
  expect((await linesOf(app)).at(-1)).toContain("expires in 1 day, on 2027-02-02 21:05 UTC");
  replaceSniEndpoint(database, vault, { endpoint, content: contentUntil(endMs + 365 * dayMs) });
  look(-3 * dayMs);
  expect(await linesOf(app)).toHaveLength(4);
});
