import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import {
  repositoryRoot,
  startStator,
  type StatorApp,
  type StatorServer,
} from "../helpers/stator-server.ts";

let stator: StatorServer;
let app: StatorApp;
beforeAll(async () => {
  stator = await startStator();
  app = await stator.createApp(join(repositoryRoot, "test/fixtures/apps/static"));
  expect((await app.push()).text).toContain("-----> Static app detected");
});
afterAll(() => stator.stop());

const get = (path: string, headers: Record<string, string> = {}) =>
  app.get(path, { redirect: "manual", headers, decompress: false } as RequestInit);

test("a site has clean addresses, a fallback, redirects and its own error page", async () => {
  expect(await (await get("/")).text()).toContain("hello from static");
  expect(await (await get("/about")).text()).toContain("About");
  expect(await (await get("/shop/what/ever")).text()).toContain("Shop");
  const moved = await get("/old");
  expect([moved.status, moved.headers.get("location")]).toEqual([302, "/about"]);
  expect((await get("/price")).headers.get("location")).toBe("/cost?in=$");
  const missing = await get("/missing");
  expect([missing.status, await missing.text()]).toEqual([404, "<h1>Nothing here</h1>\n"]);
});

test("headers are given by path, to errors too", async () => {
  const style = await get("/assets/site.css");
  expect(style.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  for (const path of ["/", "/assets/site.css", "/missing"])
    expect((await get(path)).headers.get("x-frame-options")).toBe("DENY");
  expect((await get("/")).headers.get("cache-control")).toBeNull();
});

test("what is worth it is compressed beforehand, for those who ask", async () => {
  const packed = await get("/assets/site.css", { "accept-encoding": "gzip" });
  expect(packed.headers.get("content-encoding")).toBe("gzip");
  expect(packed.headers.get("vary")).toBe("Accept-Encoding");
  const plain = await get("/assets/site.css", { "accept-encoding": "identity" });
  expect(plain.headers.get("content-encoding")).toBeNull();
  expect((await plain.bytes()).length).toBeGreaterThan(2000);
});

test("an ETag stays over deploys as long as the content does, and changes with it at the same length", async () => {
  const before = await get("/about");
  const slug = async () => {
    const [last] = (await app.api<{ slug: { id: string } }[]>("GET", "/releases")).slice(-1);
    const { checksum } = await app.api<{ checksum: string }>("GET", `/slugs/${last?.slug.id}`);
    return checksum;
  };
  const checksum = await slug();
  await app.commit("Nothing");
  expect((await app.push()).exitCode).toBe(0);
  expect(await slug()).toBe(checksum);
  const etag = before.headers.get("etag") as string;
  expect((await get("/about", { "if-none-match": etag })).status).toBe(304);
  app.write({ "site/about.html": "<h1>Abuot</h1>\n" });
  await app.commit("As long as before");
  expect((await app.push()).exitCode).toBe(0);
  expect(await slug()).not.toBe(checksum);
  const after = await get("/about", { "if-none-match": etag });
  expect([after.status, await after.text()]).toEqual([200, "<h1>Abuot</h1>\n"]);
});

test("files of the build and hidden ones are not part of the site", async () => {
  app.write({ "site/.env": "SECRET=1", "site/.well-known/acme": "open" });
  await app.commit("Hidden");
  expect((await app.push()).exitCode).toBe(0);
  for (const path of [
    "/.env",
    "/../static.json",
    "/%2e%2e/static.json",
    "/.heroku/static/nginx.conf",
  ])
    expect((await get(path)).status).toBeOneOf([400, 404]);
  expect(await (await get("/.well-known/acme")).text()).toBe("open");
});

test("rules that cannot be kept end the build with their name", async () => {
  for (const [json, message] of [
    ["{", "static.json is not JSON"],
    ['{"root": "../.."}', 'static.json: root is "../..", no folder of the app.'],
    ['{"root": "gone"}', "there is no such folder"],
    ['{"basic_auth": true}', "basic_auth is not supported; take it out."],
    ['{"root": "site", "headers": {"/": {"X y": "z"}}}', '"X y" is no name of a header.'],
    ['{"root": "site", "headers": {"/": {"X": "a\\nb"}}}', "must be a text on one line."],
  ] as const) {
    app.write({ "static.json": json });
    await app.commit("Bad rules");
    const pushed = await app.push();
    expect(pushed.text).toContain(message);
    expect(pushed.exitCode).not.toBe(0);
  }
  expect((await get("/")).status).toBe(200);
});
