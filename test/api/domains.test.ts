import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { App } from "../../src/model/app.ts";
import {
  type AutomaticCertificateRow,
  saveAutomaticCertificate,
} from "../../src/model/automatic-certificate.ts";
import { makeCertificate } from "../certs/make-certificate.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let app: App;
let path: string;
beforeAll(() => {
  served = serveLocalPlatform();
});
afterAll(() => served.stop());
let number = 0;
beforeEach(async () => {
  app = await served.platform.createApp({ name: `shop-${++number}`, user: served.account });
  path = `/apps/${app.name}`;
});

const uuid = expect.stringMatching(
  /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
);
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

/** The status and the JSON of an answer. */
async function send(method: string, to: string, body?: unknown) {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await served.ask(`${path}${to}`, init);
  return { status: response.status, body: await response.json() };
}

const leaf = await makeCertificate(["www.example.org", "*.example.org"]);
const pem = { certificate_chain: leaf.certificate, private_key: leaf.privateKey };

test("clause 96: a domain has Heroku's shape, and the cname is in the answer", async () => {
  const made = await send("POST", "/domains", { hostname: "WWW.Example.org", sni_endpoint: null });
  expect(made.status).toBe(201);
  const answer = {
    acm_certificate: null,
    acm_status: "pending",
    acm_status_reason: null,
    app: { id: app.id, name: app.name },
    cname: `${app.name}.localhost`,
    created_at: time,
    dns_addresses: ["203.0.113.7"],
    hostname: "www.example.org",
    id: uuid,
    kind: "custom",
    sni_endpoint: null,
    status: "succeeded",
    updated_at: time,
  };
  expect(structuredClone(made.body)).toEqual(answer);
  for (const name of ["www.example.org", "WWW.EXAMPLE.ORG.", made.body.id])
    expect((await send("GET", `/domains/${name}`)).body).toEqual(made.body);
  const all = await send("GET", "/domains");
  const own = all.body as { kind: string; hostname: string; cname: null }[];
  expect(own.map(({ kind, hostname, cname }) => [kind, hostname, cname])).toEqual([
    ["heroku", `${app.name}.localhost`, null],
    ["custom", "www.example.org", `${app.name}.localhost`],
  ]);
  expect(Object.keys(own[0]!)).toEqual(Object.keys(own[1]!));
  expect((await send("DELETE", "/domains/www.example.org")).body).toEqual(made.body);
  expect((await send("GET", "/domains/www.example.org")).status).toBe(404);
});

test("an app's own name is listed, and can be looked at, but not changed", async () => {
  const own = `${app.name}.localhost`;
  saveAutomaticCertificate(served.platform.database, {
    ...{ host: "*.localhost", status: "failing", reason: "No hook.", failures: 1 },
    ...{ nextAttemptAt: new Date(0), certificateChain: null, sealedKey: null },
    ...{ directoryUrl: null, issuer: null, startsAt: null, expiresAt: null },
  });
  const { status, body } = await send("GET", `/domains/${own}`);
  expect([body.acm_status, body.acm_status_reason]).toEqual(["failing", "No hook."]);
  expect([status, body.hostname, body.kind]).toEqual([200, own, "heroku"]);
  for (const word of [own, body.id]) {
    const refused = await send("DELETE", `/domains/${word}`);
    expect([refused.status, refused.body.id]).toEqual([422, "invalid_params"]);
  }
});

test("domains that cannot be are refused with 422, and none is made", async () => {
  await send("POST", "/domains", { hostname: "taken.test", sni_endpoint: null });
  const bad = ["taken.test", "api.localhost", "no name", "127.0.0.1", ""];
  for (const hostname of bad) {
    const refused = await send("POST", "/domains", { hostname, sni_endpoint: null });
    expect([hostname, refused.status, refused.body.id]).toEqual([
      ...[hostname, 422, "invalid_params"],
    ]);
  }
  expect((await send("POST", "/domains", { sni_endpoint: null })).status).toBe(422);
  const unknown = { hostname: "new.test", sni_endpoint: "cert-1" };
  expect((await send("POST", "/domains", unknown)).status).toBe(404);
  expect((await send("GET", "/domains")).body).toHaveLength(2);
});

test("what is known of an automatic certificate is in the domain, in Heroku's words", async () => {
  await send("POST", "/domains", { hostname: "auto.test", sni_endpoint: null });
  const row = {
    ...{ host: "auto.test", reason: null, failures: 0, nextAttemptAt: new Date(0) },
    ...{ certificateChain: null, sealedKey: null, directoryUrl: null, issuer: "CN=CA" },
    ...{ startsAt: new Date(0), expiresAt: new Date(86_400_000) },
  };
  const words = async (
    change: Pick<AutomaticCertificateRow, "status"> & Partial<AutomaticCertificateRow>,
  ) => {
    saveAutomaticCertificate(served.platform.database, { ...row, ...change });
    return (await send("GET", "/domains/auto.test")).body;
  };
  expect(await words({ status: "issued" })).toMatchObject({
    acm_status: "cert issued",
    acm_certificate: {
      issuer: "CN=CA",
      starts_at: "1970-01-01T00:00:00.000Z",
      expires_at: "1970-01-02T00:00:00.000Z",
    },
  });
  expect(await words({ status: "failing", failures: 1, reason: "No." })).toMatchObject({
    acm_status: "failing",
    acm_status_reason: "No.",
  });
  expect((await words({ status: "failing", failures: 9 })).acm_status).toBe("failed");
  expect((await words({ status: "dns-verified" })).acm_status).toBe("dns-verified");

  expect(await send("DELETE", "/acm")).toMatchObject({ status: 200, body: { acm: false } });
  expect((await send("GET", "/domains/auto.test")).body.acm_status).toBeNull();
  expect(await send("POST", "/acm", {})).toMatchObject({ status: 201, body: { acm: true } });
  expect(await send("PATCH", "/acm", { acm_refresh: true })).toMatchObject({ status: 200 });
});

test("a certificate of one's own has Heroku's shape; its key never comes out", async () => {
  const made = await send("POST", "/sni-endpoints", pem);
  expect(made.status).toBe(201);
  expect(structuredClone(made.body)).toEqual({
    app: { id: app.id, name: app.name },
    certificate_chain: leaf.certificate,
    created_at: time,
    display_name: null,
    domains: [],
    expiry_warning: null,
    id: uuid,
    name: expect.stringMatching(/^cert-\d{4,5}$/),
    ssl_cert: {
      acm: false,
      "ca_signed?": false,
      cert_domains: ["www.example.org", "*.example.org"],
      expires_at: time,
      id: uuid,
      issuer: "CN=www.example.org",
      "self_signed?": true,
      starts_at: time,
      subject: "CN=www.example.org",
    },
    updated_at: time,
  });
  const { id, name } = made.body;
  for (const word of [id, name])
    expect((await send("GET", `/sni-endpoints/${word}`)).body).toEqual(made.body);
  await send("POST", "/domains", { hostname: "www.example.org", sni_endpoint: name });
  const domain = (await send("GET", "/domains/www.example.org")).body;
  expect([domain.sni_endpoint, domain.acm_status]).toEqual([{ id, name }, null]);
  const [listed] = (await send("GET", "/sni-endpoints")).body as { domains: string[] }[];
  expect(listed?.domains).toEqual([domain.id]);

  const other = await makeCertificate(["other.test"]);
  const replacement = { certificate_chain: other.certificate, private_key: other.privateKey };
  const refused = await send("PATCH", `/sni-endpoints/${name}`, replacement);
  expect([refused.status, refused.body.message]).toEqual([
    422,
    "The certificate is for other.test, not for www.example.org.",
  ]);
  const again = await makeCertificate(["www.example.org"]);
  const renewed = await send("PATCH", `/sni-endpoints/${name}`, {
    ...{ certificate_chain: again.certificate, private_key: again.privateKey },
  });
  expect(renewed.body).toMatchObject({ id, name, domains: [domain.id] });
  expect(renewed.body.certificate_chain).toBe(again.certificate);

  const bytes = served.platform.database.$client.serialize();
  for (const { privateKey } of [leaf, again])
    expect(bytes.includes(Buffer.from(privateKey.split("\n")[1] ?? ""))).toBe(false);
  expect((await send("DELETE", `/sni-endpoints/${name}`)).status).toBe(200);
  expect((await send("GET", "/domains/www.example.org")).body).toMatchObject({
    ...{ sni_endpoint: null, acm_status: "pending" },
  });
});

test("an app has nothing of another's: neither its domains nor its certificates", async () => {
  const { body } = await send("POST", "/sni-endpoints", pem);
  await send("POST", "/domains", { hostname: "mine.example.org", sni_endpoint: body.name });
  const other = await served.platform.createApp({ name: `blog-${number}`, user: served.account });
  path = `/apps/${other.name}`;
  const addition = { hostname: "x.example.org", sni_endpoint: body.name };
  expect((await send("POST", "/domains", addition)).status).toBe(404);
  for (const to of ["/domains/mine.example.org", `/sni-endpoints/${body.name}`]) {
    expect((await send("GET", to)).status).toBe(404);
    expect((await send("DELETE", to)).status).toBe(404);
  }
});

test("visitor rules: what is left out stays, a wrong change is none, passwords never come out", async () => {
  const none = {
    allowed_addresses: null,
    app: { id: app.id, name: app.name },
    hsts: null,
    https_redirect: false,
    passwords: [],
    rate_limits: { app: null, client: null },
  };
  expect((await send("GET", "/visitor-rules")).body).toEqual(none);
  const first = await send("PATCH", "/visitor-rules", {
    passwords: { guest: "s3cret-word", friend: "other" },
    allowed_addresses: ["192.0.2.0/24", "::1"],
    rate_limits: { client: { requests: 10 } },
  });
  expect(first.body).toMatchObject({
    passwords: ["guest", "friend"],
    allowed_addresses: ["192.0.2.0/24", "::1"],
    rate_limits: { app: null, client: { requests: 10, seconds: 1, burst: 10 } },
  });
  expect(JSON.stringify(first.body)).not.toContain("s3cret");
  const second = await send("PATCH", "/visitor-rules", {
    passwords: { friend: null },
    hsts: { max_age: 3600 },
    rate_limits: { app: { requests: 5, seconds: 60, burst: 20 }, client: null },
  });
  const after = {
    ...none,
    passwords: ["guest"],
    allowed_addresses: ["192.0.2.0/24", "::1"],
    hsts: { max_age: 3600, include_sub_domains: false, preload: false },
    rate_limits: { app: { requests: 5, seconds: 60, burst: 20 }, client: null },
  };
  expect(second.body).toEqual(after);
  const bytes = served.platform.database.$client.serialize();
  expect(bytes.includes(Buffer.from("guest"))).toBe(true);
  expect(bytes.includes(Buffer.from("s3cret-word"))).toBe(false);

  for (const wrong of [
    { allowed_addresses: ["192.0.2.0/24", "nonsense"] },
    { allowed_addresses: [] },
    { https_redirect: true, passwords: { "a:b": "x" } },
    { passwords: { guest: "" } },
    { passwords: { guest: "line\nbreak" } },
    { passwords: Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`u${at}`, "x"])) },
    { rate_limits: { client: { requests: 0 } } },
    { hsts: { max_age: -1 } },
    { colour: "red" },
  ]) {
    const refused = await send("PATCH", "/visitor-rules", wrong);
    expect([wrong, refused.status]).toEqual([wrong, 422]);
  }
  expect((await send("GET", "/visitor-rules")).body).toEqual(after);
});
