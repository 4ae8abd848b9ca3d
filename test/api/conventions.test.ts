import { afterAll, beforeAll, expect, test } from "bun:test";
import { listRoutes } from "../../src/api/route-facts.ts";
import { createRequestBudgets } from "../../src/api/request-budgets.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
beforeAll(async () => {
  served = serveLocalPlatform({ requestsPerHour: 300 });
  await served.platform.createApp({ name: "shop", user: served.account });
});
afterAll(() => served.stop());

const ask = (path: string, headers: Record<string, string> = {}, init: RequestInit = {}) =>
  served.ask(path, { ...init, headers });

test("clause 85: who has it already gets 304, and no body", async () => {
  const first = await ask("/apps/shop");
  const tag = first.headers.get("ETag") ?? "";
  expect(tag).toMatch(/^"[0-9a-f]{16}"$/);
  for (const known of [tag, `W/${tag}`, `"x", ${tag}`, "*"]) {
    const again = await ask("/apps/shop", { "If-None-Match": known });
    expect([again.status, await again.text(), again.headers.get("ETag")]).toEqual([304, "", tag]);
  }
  expect((await ask("/apps/shop", { "If-None-Match": '"x"' })).status).toBe(200);
  await ask("/apps/shop", {}, { method: "PATCH", body: '{"maintenance": true}' });
  expect((await ask("/apps/shop", { "If-None-Match": tag })).status).toBe(200);
});

test("who changes what is no longer as he knows it gets 412, and nothing is changed", async () => {
  const tag = (await ask("/apps/shop")).headers.get("ETag") ?? "";
  const change = (on: boolean, IfMatch: string) => {
    const body = JSON.stringify({ maintenance: on });
    return ask("/apps/shop", { "If-Match": IfMatch }, { method: "PATCH", body });
  };
  expect((await change(false, tag)).status).toBe(200);
  const late = await change(true, tag);
  expect(late.status).toBe(412);
  expect(await late.json()).toMatchObject({ id: "precondition_failed" });
  expect(await (await ask("/apps/shop")).json()).toMatchObject({ maintenance: false });
  expect((await ask("/apps/shop", { "If-Match": tag })).status).toBe(412);
});

test("a POST can stand for PATCH, PUT and DELETE, with the policy of what it stands for", async () => {
  const method = "POST";
  const as = (name: string) => ({ "X-HTTP-Method-Override": name });
  const body = '{"maintenance": true}';
  const patched = await ask("/apps/shop", as("patch"), { method, body });
  expect(await patched.json()).toMatchObject({ maintenance: true });
  expect((await ask("/apps/none", as("DELETE"), { method })).status).toBe(404);
  const url = `${served.url}/apps/shop`;
  expect((await fetch(url, { method, headers: as("DELETE") })).status).toBe(401);
});

test("errors have Heroku's form, and say what kind of thing is not there", async () => {
  const answer = async (path: string, init?: RequestInit) => {
    const response = await ask(path, {}, init);
    return [response.status, await response.json()] as [number, Record<string, string>];
  };
  expect(await answer("/apps/none")).toMatchObject([404, { id: "not_found", resource: "app" }]);
  expect(await answer("/addons/none")).toMatchObject([404, { resource: "add_on" }]);
  expect(await answer("/oauth/authorizations/none")).toMatchObject([
    404,
    { resource: "authorization" },
  ]);
  const made = await answer("/spaces", { method: "POST", body: "{}" });
  expect(made).toEqual([
    501,
    {
      id: "not_implemented",
      message:
        "This platform has no spaces of its own (yet). Each app has a network of its own here already.",
      url: `${served.apiUrl}/openapi.json`,
    },
  ]);
});

test("/schema is a document from which a client can be made: each link leads where it says", async () => {
  const document = (await (await fetch(`${served.url}/schema`)).json()) as {
    definitions: Record<string, { links: { href: string; method: string; schema?: object }[] }>;
  };
  const links = Object.values(document.definitions).flatMap(({ links: all }) => all);
  expect(links).toHaveLength(listRoutes(served.api.routes).length);
  const identity = /\{\(%23%2Fdefinitions%2F(\w+)%2Fdefinitions%2Fidentity\)\}/g;
  for (const { href } of links) {
    for (const [, noun = ""] of href.matchAll(identity))
      expect(Object.keys(document.definitions)).toContain(noun);
    expect(href.replaceAll(identity, "x")).toMatch(/^\/[\w/.-]*$/);
  }
  const [one] =
    document.definitions["config-var"]?.links.filter((link) => link.method === "GET") ?? [];
  const path = (one?.href ?? "").replace(identity, "shop");
  expect(await (await ask(path)).json()).toEqual({});
  const scaling = document.definitions["formation"]?.links.find(({ method }) => method === "PATCH");
  expect(scaling?.schema).toMatchObject({ type: "object", required: ["updates"] });
});

test("Last-Modified is when the newest of what is answered was changed", async () => {
  const app = await ask("/apps/shop");
  const { updated_at: time } = (await app.json()) as { updated_at: string };
  const seconds = Math.floor(Date.parse(time) / 1000) * 1000;
  expect(app.headers.get("Last-Modified")).toBe(new Date(seconds).toUTCString());
  const apps = await ask("/apps");
  expect(apps.headers.get("Last-Modified")).toMatch(/^\w{3}, \d\d \w{3} 20\d\d .* GMT$/);
  expect((await ask("/apps/shop/config-vars")).headers.get("Last-Modified")).toBeNull();
});

test("Accept-Expansion and Accept-Inclusion are taken everywhere: what can be told of a thing is told unasked", async () => {
  const expanded = [
    { "Accept-Expansion": "addon_service,plan" },
    { "Accept-Expansion": "region,owner,no-such-thing" },
    { "Accept-Inclusion": "addon:plan,config_vars" },
    { "Accept-Expansion": "x".repeat(2_000) },
  ];
  const paths = [
    ...["/apps/shop", "/apps", "/addons", "/apps/shop/addons", "/regions", "/apps/shop/releases"],
    ...["/apps/shop/formation", "/apps/shop/domains", "/addon-services", "/spaces", "/apps/none"],
  ];
  for (const path of paths) {
    const plain = await ask(path);
    const text = await plain.text();
    for (const headers of expanded) {
      const answer = await ask(path, headers);
      expect([path, answer.status, await answer.text(), answer.headers.get("ETag")]).toEqual([
        ...[path, plain.status, text, plain.headers.get("ETag")],
      ]);
    }
  }
  // What it names stands in the answer as a whole thing, not as an id alone.
  expect(await (await ask("/apps/shop", expanded[1])).json()).toMatchObject({
    owner: { email: served.account.email, id: served.account.id },
    region: { id: expect.any(String), name: expect.any(String) },
  });
});

test("clause 86: each answer tells how many requests are left, and at the end 429", async () => {
  const left = async () => Number((await ask("/account")).headers.get("RateLimit-Remaining"));
  const first = await left();
  for (let count = 0; count < 8; count++) await left();
  const limits = (await (await ask("/account/rate-limits")).json()) as { remaining: number };
  // One or another is granted anew meanwhile.
  expect(limits.remaining).toBeWithin(first - 9, first - 4);
  let last = await ask("/account");
  for (let count = 0; count < 320 && last.status === 200; count++) last = await ask("/account");
  expect(last.status).toBe(429);
  expect(await last.json()).toEqual({
    id: "rate_limit",
    message:
      "Your account reached the API rate limit\nPlease wait a few minutes before making new requests",
  });
});

test("clause 86: 4500 requests in an hour, and 75 come back each minute", () => {
  let nowMs = 0;
  const budgets = createRequestBudgets(undefined, () => nowMs);
  for (let count = 0; count < 4500; count++) budgets.take("one");
  expect(() => budgets.take("one")).toThrow("rate limit");
  expect(budgets.take("other")).toBe(4499);
  nowMs = 60_000;
  expect(budgets.left("one")).toBe(75);
  nowMs = 100 * 3_600_000;
  expect(budgets.left("one")).toBe(4500);
});

test("the document of the API has every route, with the body that it takes", async () => {
  const response = await fetch(`${served.url}/openapi.json`);
  const document = (await response.json()) as {
    openapi: string;
    paths: Record<
      string,
      Record<
        string,
        {
          operationId: string;
          requestBody?: unknown;
          responses?: Record<string, object>;
          security?: unknown[];
        }
      >
    >;
  };
  expect(document.openapi).toBe("3.1.0");
  expect(Object.keys(document.paths).length).toBeGreaterThan(80);
  const scale = document.paths["/apps/{app}/formation"]?.patch;
  expect(scale?.requestBody).toMatchObject({
    content: {
      "application/json": {
        schema: { type: "object", required: ["updates"], properties: { updates: {} } },
      },
    },
  });
  expect(document.paths["/oauth/tokens"]?.post?.security).toEqual([]);
  const found = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method} ${path}`,
      operation,
    })),
  );
  // Nothing is refused, and not all are said: pages, streams, and what is not here.
  const said = found.filter(({ operation }) => "content" in (operation.responses?.["2XX"] ?? {}));
  expect(said.length).toBeGreaterThan(90);
  expect(new Set(found.map(({ operation }) => operation.operationId)).size).toBe(found.length);
});

test("clause 84: lists go by their fields, both ways, from and up to a bound, and say where they go on", async () => {
  const world = serveLocalPlatform();
  try {
    const app = await world.platform.createApp({ name: "many", user: world.account });
    for (let count = 3; count <= 30; count++) world.release(app, { description: `${count}` });
    const versions = async (Range: string) => {
      const response = await world.ask("/apps/many/releases", { headers: { Range } });
      const list = (await response.json()) as { version: number }[];
      return {
        status: response.status,
        next: response.headers.get("Next-Range"),
        list: list.map(({ version }) => version),
      };
    };
    expect(await versions("version ..; max=3")).toEqual({
      ...{ status: 206, next: "version ]3..; max=3", list: [1, 2, 3] },
    });
    expect(await versions("version ]3..; max=3")).toMatchObject({ list: [4, 5, 6] });
    expect(await versions("version ..; order=desc,max=2")).toMatchObject({
      ...{ next: "version ]29..; max=2, order=desc", list: [30, 29] },
    });
    expect(await versions("version ]29..; max=2, order=desc")).toMatchObject({ list: [28, 27] });
    expect(await versions("version 9..10")).toEqual({ status: 200, next: null, list: [9, 10] });
    expect(await versions("version 10..9; order=desc")).toMatchObject({ list: [10, 9] });
    expect((await versions("version ]x..")).list).toEqual([]);
    const wrong = await world.ask("/apps/many/releases", { headers: { Range: "nonsense .." } });
    expect([wrong.status, ((await wrong.json()) as { id: string }).id]).toEqual([
      416,
      "requested_range_not_satisfiable",
    ]);
    // Go's client leaves out the field when it is told none.
    expect(await versions("..; max=2,order=desc")).toMatchObject({ list: [30, 29] });
    const ids: number[] = [];
    let range: string | null = "id ..; max=7";
    while (range) {
      const page: Awaited<ReturnType<typeof versions>> = await versions(range);
      ids.push(...page.list);
      range = page.next;
    }
    expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, at) => at + 1));
  } finally {
    await world.stop();
  }
});
