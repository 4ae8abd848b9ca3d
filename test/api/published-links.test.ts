import { afterAll, beforeAll, expect, test } from "bun:test";
import { waitingDynos } from "../../src/api/resources/dynos.ts";
import { createAccount, firstAccount } from "../../src/model/account.ts";
import { createBuild, finishBuild } from "../../src/model/build.ts";
import { listRoutes } from "../../src/api/route-facts.ts";
import { createToken } from "../../src/model/token.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";
import { type Visit, walkPublishedLinks } from "../helpers/published-links.ts";

let served: ReturnType<typeof serveLocalPlatform>;
beforeAll(() => {
  served = serveLocalPlatform({}, (platform) => ({
    places: {
      waiting: waitingDynos(platform),
      rendezvousOf: (secret) => `rendezvous://api.localhost:5000/${secret}`,
    },
  }));
});
afterAll(() => served.stop());

const publicKey =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq1yJ3Ru6N0HyZ3cKf4Hn2yJv3Ykq0g3pXr8zN6oQ2b me@here";

/** What an answer has that its route does not say, or the other way round. */
async function unsaid(path: string, init: RequestInit, response: Response): Promise<string[]> {
  const { pathname } = new URL(path, served.url);
  const route = listRoutes(served.api.routes).find(
    (one) =>
      one.method === (init.method ?? "GET") &&
      new RegExp(`^${one.path.replaceAll(/:\w+/g, "[^/]+").replace("*", ".+")}$`).test(pathname),
  );
  if (!response.ok || !route?.answer) return [];
  const value: unknown = await response.clone().json();
  const parsed = route.answer.safeParse(value);
  const name = `${route.method} ${route.path}`;
  if (!parsed.success) return [`${name}: ${parsed.error.message}`];
  return Bun.deepEquals(parsed.data, value) ? [] : [`${name} has more: ${JSON.stringify(value)}`];
}

/** An app with code, a build, a release, a formation, and what else the links ask for. */
async function walker() {
  const { platform, account, token } = served;
  const unsaidThings: string[] = [];
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await served.ask(path, init);
    unsaidThings.push(...(await unsaid(path, init, response)));
    return response;
  };
  const { database } = platform;
  const app = await platform.createApp({ name: "shop", user: account });
  const release = served.deploy(app, { web: "npm start", worker: "node worker.js" });
  const build = createBuild(database, { app, user: account, sourceVersion: "de63889c" });
  finishBuild(database, build, { status: "succeeded", slugId: release.slugId ?? "" });
  served.startDyno(app, { type: "web", number: 1, command: "npm start" });
  const friend = createAccount(database, "friend@example.com");
  const friendsToken = createToken(database, { account: friend, description: "friend" });

  const send = async <T = { id: string }>(path: string, body: unknown, as = token): Promise<T> => {
    const headers = { Authorization: `Bearer ${as}` };
    const response = await ask(path, { method: "POST", body: JSON.stringify(body), headers });
    expect(`${path} ${response.status}`).toBe(`${path} 201`);
    return (await response.json()) as T;
  };
  let count = 0;
  const newApp = async () => (await send("/apps", { name: `more-${++count}` })).id;
  const transfer = async () =>
    send("/account/app-transfers", { app: await newApp(), recipient: friend.email });
  const collaborator = { user: friend.email };
  const client = { name: "Robot", redirect_uri: "https://robot.example.com/back" };
  const newClient = () => send<{ id: string; secret: string }>("/oauth/clients", client);
  const newAuthorization = async () => (await send("/oauth/authorizations", {})).id;
  const exchange = async () => {
    const made = await newClient();
    const asked = { client: made.id, scope: ["read"] };
    const { grant } = await send<{ grant: { code: string } }>("/oauth/authorizations", asked);
    return {
      client: { secret: made.secret },
      grant: { type: "authorization_code", code: grant.code },
      refresh_token: { token: "none" },
    };
  };
  const passing = () => {
    const someone = createAccount(database, `passing-${++count}@example.com`);
    return createToken(database, { account: someone, description: "passing" });
  };
  const visits: Record<string, () => Visit | Promise<Visit>> = {
    "PATCH /account/features/{account-feature}": () => ({ body: { enabled: true } }),
    "PATCH /account": () => ({ body: { name: "The Owner" } }),
    "PATCH /users/{account}": () => ({ body: { allow_tracking: false } }),
    "DELETE /account": () => ({ token: passing() }),
    "DELETE /users/{account}": () => ({ token: passing() }),
    "PATCH /apps/{app}/features/{app-feature}": () => ({ body: { enabled: true } }),
    "POST /account/app-transfers": async () => ({
      body: { app: await newApp(), recipient: friend.id },
    }),
    "GET /account/app-transfers/{app-transfer}": async () => ({
      values: { "app-transfer": (await transfer()).id },
    }),
    "DELETE /account/app-transfers/{app-transfer}": async () => ({
      values: { "app-transfer": (await transfer()).id },
    }),
    "PATCH /account/app-transfers/{app-transfer}": async () => ({
      values: { "app-transfer": (await transfer()).id },
      body: { state: "accepted" },
      token: friendsToken,
    }),
    "DELETE /apps/{app}": async () => ({ values: { app: await newApp() } }),
    "PATCH /apps/{app}": () => ({ body: { maintenance: false } }),
    "POST /apps/{app}/collaborators": () => ({ body: collaborator }),
    "GET /apps/{app}/collaborators/{collaborator}": async () => {
      await send("/apps/shop/collaborators", collaborator);
      return { values: { collaborator: friend.email } };
    },
    "DELETE /apps/{app}/collaborators/{collaborator}": async () => {
      const { id } = await send("/apps/shop/collaborators", collaborator);
      return { values: { collaborator: id } };
    },
    "PATCH /apps/{app}/config-vars": () => ({ body: { A: "1" } }),
    "POST /apps/{app}/dynos": () => ({ body: { command: "true" } }),
    "POST /apps/{app}/dynos/{dyno}": () => ({ body: { command: "true" } }),
    "PATCH /apps/{app}/formation": () => ({
      body: { updates: [{ type: "web", quantity: "+1" }] },
    }),
    "PATCH /apps/{app}/formation/{formation}": () => ({ body: { quantity: 1 } }),
    "GET /generations/{stack}": () => ({ values: { stack: "cedar" } }),
    "GET /account/keys/{key}": async () => ({
      values: { key: (await send("/account/keys", { public_key: publicKey })).id },
    }),
    "POST /oauth/authorizations": () => ({ body: { description: "a", scope: ["read"] } }),
    "DELETE /oauth/authorizations/{oauth-authorization}": async () => ({
      values: { "oauth-authorization": await newAuthorization() },
    }),
    "POST /oauth/authorizations/{oauth-authorization}/actions/regenerate-tokens": async () => ({
      values: { "oauth-authorization": await newAuthorization() },
    }),
    "POST /oauth/clients": () => ({ body: client }),
    "DELETE /oauth/clients/{oauth-client}": async () => ({
      values: { "oauth-client": (await newClient()).id },
    }),
    "GET /oauth/clients/{oauth-client}": async () => ({
      values: { "oauth-client": (await newClient()).id },
    }),
    "PATCH /oauth/clients/{oauth-client}": async () => ({
      values: { "oauth-client": (await newClient()).id },
      body: { name: "Other" },
    }),
    "POST /oauth/clients/{oauth-client}/actions/rotate-credentials": async () => ({
      values: { "oauth-client": (await newClient()).id },
    }),
    "POST /oauth/tokens": async () => ({ body: await exchange() }),
    "DELETE /oauth/tokens/{oauth-token}": async () => ({
      values: { "oauth-token": (await send("/oauth/tokens", await exchange())).id },
    }),
    "POST /password-resets": () => ({ body: { email: friend.email } }),
    "POST /password-resets/{password-reset.reset_password_token}/actions/finalize": async () => {
      const asked = await ask("/password-resets", {
        method: "POST",
        body: JSON.stringify({ email: friend.email }),
      });
      const [secret = ""] = /[^/]+$/.exec(asked.headers.get("X-Heroku-Warning") ?? "") ?? [];
      const password = "a long password";
      return {
        values: { "password-reset.reset_password_token": secret },
        body: { password, password_confirmation: password },
      };
    },
    "POST /apps/{app}/releases (Rollback)": () => ({ body: { release: release.id } }),
    "POST /apps/{app}/releases": () => ({ body: { slug: release.slugId } }),
    "PATCH /users/{user-preferences}/preferences": () => ({ body: { timezone: "UTC" } }),
    // Of branches that are to come: their rows in links-not-here.json go with them.
    "POST /apps/{app}/domains": () => ({
      body: { hostname: `www-${++count}.example.com`, sni_endpoint: null },
    }),
    "POST /apps/{app}/builds": () => ({ body: { source_blob: { url: "https://example.com/a" } } }),
    "PUT /apps/{app}/buildpack-installations": () => ({ body: { updates: [] } }),
    "POST /apps/{app}/slugs": () => ({ body: { process_types: { web: "true" } } }),
  };
  const [authorization = { id: "" }] = (await (await ask("/oauth/authorizations")).json()) as {
    id: string;
  }[];
  const values = {
    account: "~",
    "user-preferences": "~",
    app: "shop",
    "account-feature": "dashboard-repositories-api",
    "app-feature": "preboot",
    build: build.id,
    dyno: "web.1",
    "dyno.formation_type": "web",
    "dyno-size": "Basic",
    formation: "web",
    "oauth-authorization": authorization.id,
    region: "local",
    release: String(release.version),
    slug: release.slugId ?? "",
    stack: "heroku-24",
  };
  return { ask, values, visits, unsaidThings };
}

test("every published link answers as the schema says, or stands in the list of what is not here", async () => {
  const all = await walker();
  const { problems, ofPublic } = await walkPublishedLinks(all);
  expect(problems).toEqual([]);
  expect(all.unsaidThings).toEqual([]);
  expect(ofPublic).toBeGreaterThanOrEqual(102);
  expect(firstAccount(served.platform.database)?.id).toBe(served.account.id);
});
