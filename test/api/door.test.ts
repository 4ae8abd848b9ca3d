import { afterAll, beforeAll, expect, test } from "bun:test";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
beforeAll(() => {
  served = serveLocalPlatform();
});
afterAll(() => served.stop());

const open = new Set(["GET /log-streams/:key", "GET /release-outputs/:app/:release/:signature"]);
const routes = () =>
  served.api.routes
    .filter(({ method, path }) => method !== "ALL" && !open.has(`${method} ${path}`))
    .map(({ method, path }) => ({ method, path: path.replace(/:\w+/g, "x") }));
const strangers: [who: string, headers: Record<string, string>][] = [
  ["nobody", {}],
  ["a wrong token", { Authorization: "Bearer STTR-wrong" }],
  ["a wrong password", { Authorization: `Basic ${btoa("owner@example.com:STTR-wrong")}` }],
  ["an empty password", { Authorization: `Basic ${btoa("owner@example.com:")}` }],
  ["the token as user", { Authorization: `Basic ${btoa("TOKEN:")}` }],
  ["another scheme", { Authorization: "Digest TOKEN" }],
];

test("every route but those with a key in their address refuses all who have no token", async () => {
  expect(routes().length).toBeGreaterThan(20);
  for (const { method, path } of routes())
    for (const [who, headers] of strangers) {
      const authorization = headers.Authorization?.replace("TOKEN", served.token);
      const response = await fetch(served.url + path, {
        method,
        headers: {
          Accept: "application/vnd.heroku+json; version=3",
          ...(authorization ? { Authorization: authorization } : {}),
        },
      });
      const { id } = (await response.json()) as { id: string };
      expect(`${method} ${path} as ${who}: ${response.status} ${id}`).toBe(
        `${method} ${path} as ${who}: 401 unauthorized`,
      );
    }
});

test("what is not a route refuses strangers too, and tells its owner", async () => {
  for (const path of ["/", "/nope", "/log-streams", "/log-streams/a/b", "/apps/../.."])
    expect((await fetch(served.url + path)).status).toBe(401);
  for (const path of ["/log-streams/guess", "/release-outputs/shop/v1/guess"])
    expect((await fetch(served.url + path)).status).toBe(404);
  const response = await served.ask("/nope");
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({
    id: "not_found",
    message: "The API has no GET /nope.",
  });
});

test("a token opens by Bearer and by Basic with any user", async () => {
  for (const authorization of [
    `Bearer ${served.token}`,
    `bearer ${served.token}`,
    `Basic ${btoa(`:${served.token}`)}`,
    `Basic ${btoa(`anyone@example.com:${served.token}`)}`,
  ]) {
    const response = await served.ask("/account", { headers: { Authorization: authorization } });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ email: "owner@example.com" });
  }
});

test("version 3 and its variants are spoken, and nothing else", async () => {
  const statusFor = async (Accept: string) =>
    (await served.ask("/account", { headers: { Accept } })).status;
  for (const variant of ["3", "3.sdk", "3.run-inside"])
    expect(await statusFor(`application/vnd.heroku+json; version=${variant}`)).toBe(200);
  for (const other of ["*/*", "application/json", "application/vnd.heroku+json; version=2"])
    expect(await statusFor(other)).toBe(406);
});

test("every answer has a request id, the router's own when it gave one", async () => {
  const given = "0123456789-0123456789";
  const response = await served.ask("/account", { headers: { "X-Request-Id": given } });
  expect(response.headers.get("Request-Id")).toBe(given);
  expect((await fetch(served.url)).headers.get("Request-Id")).toMatch(/^[0-9a-f-]{36}$/);
});

test("bad bodies are refused with words that say where", async () => {
  const answer = async (path: string, method: string, body: string, type = "application/json") => {
    const headers = { "Content-Type": type };
    const response = await served.ask(path, { method, body, headers });
    return [response.status, ((await response.json()) as { message: string }).message];
  };
  expect(await answer("/apps", "POST", "{")).toEqual([400, "Malformed JSON in request body"]);
  expect(await answer("/apps", "POST", '{"name": 7}')).toEqual([422, "name: must be a string"]);
  expect(await answer("/apps", "POST", "[]")).toMatchObject([
    422,
    expect.stringContaining("object"),
  ]);
  expect(await answer("/apps", "POST", "{}", "")).toMatchObject([
    400,
    expect.stringContaining("Content-Type"),
  ]);
  expect(await answer("/apps", "POST", JSON.stringify({ name: "x".repeat(2_000_000) }))).toEqual([
    400,
    "The request body is over 1 MB.",
  ]);
  expect(await answer("/apps", "POST", '{"name": "No_Good"}')).toMatchObject([
    422,
    expect.stringContaining("Name must start with a letter"),
  ]);
});
