import { afterAll, beforeAll, expect, test } from "bun:test";
import { Hono } from "hono";
import { door } from "../../src/api/door.ts";
import { createLogins } from "../../src/api/logins.ts";
import type { ApiEnvironment } from "../../src/api/policy.ts";
import { createRequestBudgets } from "../../src/api/request-budgets.ts";
import { respondToError } from "../../src/api/respond-to-error.ts";
import { listRoutes } from "../../src/api/route-facts.ts";
import { createAccount } from "../../src/model/account.ts";
import { findApp } from "../../src/model/app.ts";
import { addCollaborator } from "../../src/model/collaborator.ts";
import { createToken, isAllowed, scopes } from "../../src/model/token.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

// Hundreds of requests each.
let served: ReturnType<typeof serveLocalPlatform>;
beforeAll(() => {
  served = serveLocalPlatform();
});
afterAll(() => served.stop());

/** What opens these is in the address or the body. */
const open = [
  "GET /log-streams/:key",
  "GET /release-outputs/:app/:release/:signature",
  "GET /build-outputs/:app/:build/:signature",
  ...["GET", "PUT"].flatMap((method) => [
    `${method} /source-blobs/:id/:signature`,
    `${method} /slug-blobs/:app/:slug/:signature`,
  ]),
  "POST /auth",
  "GET /login/:key/answer",
  "GET /login/:key",
  "POST /login/:key",
  "GET /login/password/:secret",
  "POST /login/password/:secret",
  "GET /oauth/authorize",
  "POST /oauth/authorize",
  "POST /password-resets/:secret/actions/finalize",
  "POST /oauth/tokens",
  // What is built in, as at Heroku's registry, is no secret.
  ...["", "/:buildpack", "/:buildpack/revisions", "/:buildpack/readme"].map(
    (path) => `GET /buildpacks${path}`,
  ),
  "GET /openapi.json",
  "GET /schema",
];
const routes = () => listRoutes(served.api.routes);
const pathOf = (path: string, app = "x") =>
  path.replace(":app", app).replaceAll(/:\w+/g, "x").replace("*", "x");
const strangers: [who: string, headers: Record<string, string>][] = [
  ["nobody", {}],
  ["a wrong token", { Authorization: "Bearer STTR-wrong" }],
  ["a wrong token in Heroku's old way", { Authorization: "Token token=STTR-wrong" }],
  ["a wrong password", { Authorization: `Basic ${btoa("owner@example.com:STTR-wrong")}` }],
  ["an empty password", { Authorization: `Basic ${btoa("owner@example.com:")}` }],
  ["the token as user", { Authorization: `Basic ${btoa("TOKEN:")}` }],
  ["another scheme", { Authorization: "Digest TOKEN" }],
];

async function errorOf(method: string, path: string, headers: Record<string, string>) {
  const response = await fetch(served.url + path, {
    ...{ method, redirect: "manual" },
    headers: { Accept: "application/vnd.heroku+json; version=3", ...headers },
  });
  const { id, message } = (await response.json()) as { id: string; message: string };
  return { status: response.status, id, message };
}

test("every route says who may use it, and the open ones are these", () => {
  expect(routes().length).toBeGreaterThan(100);
  expect(routes().filter(({ policy }) => policy === undefined)).toEqual([]);
  const anyones = routes().filter(({ policy }) => policy?.who === "anyone");
  expect(anyones.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual(
    open.toSorted(),
  );
});

test("a route that does not say who may use it is shut", async () => {
  const { platform, token } = served;
  const api = new Hono<ApiEnvironment>()
    .onError(respondToError(platform.urls.api))
    .use(door(platform, { budgets: createRequestBudgets(), logins: createLogins(platform) }))
    .get("/forgotten", (c) => c.json("secret"));
  const response = await api.request("/forgotten", {
    headers: {
      Authorization: `Bearer ${token}`,
      Accept: "application/vnd.heroku+json; version=3",
    },
  });
  expect([response.status, await response.json()]).toEqual([
    404,
    { id: "not_found", message: "The API has no GET /forgotten." },
  ]);
});

test("every route but the open ones refuses all who have no token", async () => {
  for (const { method, path, policy } of routes()) {
    if (policy?.who === "anyone") continue;
    for (const [who, headers] of strangers) {
      const authorization = headers.Authorization?.replace("TOKEN", served.token);
      const { status, id } = await errorOf(method, pathOf(path), {
        ...(authorization ? { Authorization: authorization } : {}),
      });
      // Whoever guesses passwords is stopped some time.
      const refusal = status === 429 ? "429 rate_limit" : "401 unauthorized";
      expect(`${method} ${path} as ${who}: ${status} ${id}`).toBe(
        `${method} ${path} as ${who}: ${refusal}`,
      );
    }
  }
});

test("to a stranger an app that is there is as one that is not, in every route", async () => {
  const { platform, account } = served;
  await platform.createApp({ name: "private", user: account });
  const stranger = createAccount(platform.database, "stranger@example.com");
  const token = createToken(platform.database, { account: stranger, description: "" });
  const headers = { Authorization: `Bearer ${token}` };
  const ofApps = routes().filter(({ path }) => path.startsWith("/apps/:app"));
  expect(ofApps.length).toBeGreaterThan(50);
  for (const { method, path } of ofApps) {
    const there = await errorOf(method, pathOf(path, "private"), headers);
    const notThere = await errorOf(method, pathOf(path, "no-such-app"), headers);
    expect([`${method} ${path}`, there.status, there.message]).toEqual([
      `${method} ${path}`,
      404,
      notThere.message.replace("no-such-app", "private"),
    ]);
  }
  const apps = await fetch(`${served.url}/apps`, {
    headers: { ...headers, Accept: "application/vnd.heroku+json; version=3" },
  });
  expect(await apps.json()).toEqual([]);
});

test("a collaborator works with an app, but neither destroys nor shares it", async () => {
  const { platform } = served;
  const friend = createAccount(platform.database, "friend@example.com");
  const app = findApp(platform.database, "private");
  addCollaborator(platform.database, app, friend);
  const token = createToken(platform.database, { account: friend, description: "" });
  const headers = { Authorization: `Bearer ${token}` };
  const owners = routes().filter(({ policy }) => policy?.who === "owner");
  expect(owners.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "DELETE /apps/:app",
    "POST /apps/:app/collaborators",
  ]);
  for (const { method, path } of owners)
    expect((await errorOf(method, pathOf(path, "private"), headers)).status).toBe(403);
  const answer = await served.ask("/apps/private/config-vars", { headers });
  expect(answer.status).toBe(200);
});

test("only the server's owner does what is for the whole server", async () => {
  const { platform } = served;
  const someone = createAccount(platform.database, "someone@example.com");
  const token = createToken(platform.database, { account: someone, description: "" });
  const headers = { Authorization: `Bearer ${token}` };
  const operators = routes().filter(({ policy }) => policy?.who === "operator");
  expect(operators.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "POST /stacks",
    "GET /stacks/:stack/addition",
    "DELETE /stacks/:stack",
  ]);
  for (const { method, path } of operators)
    expect(await errorOf(method, pathOf(path), headers)).toEqual({
      ...{ status: 403, id: "forbidden" },
      message: "Only the server's owner (owner@example.com) may do that.",
    });
});

test("a token does what its scope says, in every route", async () => {
  const { platform, account } = served;
  for (const scope of scopes) {
    const token = createToken(platform.database, { account, description: "", scope: [scope] });
    for (const { method, path, policy } of routes()) {
      if (policy?.scope === null || policy === undefined || path === "/attach/:key") continue;
      if (scope === "global" || policy.who === "self") continue;
      const { status, id } = await errorOf(method, pathOf(path, "no-such-app"), {
        Authorization: `Bearer ${token}`,
      }).catch(() => ({ status: 200, id: "" }));
      const allowed = isAllowed({ scope: [scope] }, policy.scope);
      expect(`${scope}: ${method} ${path} ${id === "forbidden"}`).toBe(
        `${scope}: ${method} ${path} ${!allowed}`,
      );
      expect(status).toBeLessThan(600);
    }
  }
});

test("what is not a route refuses strangers too, and tells its owner", async () => {
  for (const path of ["/", "/nope", "/log-streams", "/log-streams/a/b", "/apps/../.."])
    expect((await fetch(served.url + path)).status).toBe(401);
  for (const path of [
    "/log-streams/guess",
    "/release-outputs/shop/v1/guess",
    "/build-outputs/shop/1/guess",
    "/source-blobs/1/guess",
    "/slug-blobs/shop/1/guess",
    "/login/guess",
  ])
    expect((await fetch(served.url + path)).status).toBe(404);
  for (const path of ["/source-blobs/1/guess", "/slug-blobs/shop/1/guess"])
    expect((await fetch(served.url + path, { method: "PUT", body: "x" })).status).toBe(404);
  const response = await served.ask("/nope");
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({
    id: "not_found",
    message: "The API has no GET /nope.",
  });
});

test("a token opens by Bearer, by Basic with any user, and by Token", async () => {
  for (const authorization of [
    `Bearer ${served.token}`,
    `bearer ${served.token}`,
    `Basic ${btoa(`:${served.token}`)}`,
    `Token token=${served.token}`,
    `Token token="${served.token}"`,
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
