import { expect } from "bun:test";
import { listRoutes, type RegisteredHandler } from "../../src/api/route-facts.ts";
import { makeCertificate } from "../certs/make-certificate.ts";
import type { Visit } from "./published-links.ts";

/** A server with the app `shop`, whose code has the types web and worker, as its owner sees it. */
export interface WalkedServer {
  ask: (path: string, init?: RequestInit) => Promise<Response>;
  /** What its routes say they answer is held against what they do. */
  routes: RegisteredHandler[];
  /** Waits until web.1 is there after all that was done to it. */
  settled: () => Promise<void>;
}

const publicKey =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here";
const password = "a long password";

/** What an answer has that its route does not say, or the other way round. */
async function unsaid(
  routes: RegisteredHandler[],
  { path, method }: { path: string; method: string },
  response: Response,
): Promise<string[]> {
  const { pathname } = new URL(path, "http://any");
  const route = listRoutes(routes).find(
    (one) =>
      one.method === method &&
      new RegExp(`^${one.path.replaceAll(/:\w+/g, "[^/]+").replace("*", ".+")}$`).test(pathname),
  );
  if (!response.ok || !route?.answer) return [];
  const value: unknown = await response.clone().json();
  const parsed = route.answer.safeParse(value);
  const name = `${route.method} ${route.path}`;
  if (!parsed.success) return [`${name}: ${parsed.error.message}`];
  return Bun.deepEquals(parsed.data, value) ? [] : [`${name} has more: ${JSON.stringify(value)}`];
}

/** What the published links need on a server, all of it made by its API. */
export async function prepareWalk(server: WalkedServer) {
  const { routes, settled } = server;
  const unsaidThings: string[] = [];
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await server.ask(path, init);
    const request = { path, method: init.method ?? "GET" };
    unsaidThings.push(...(await unsaid(routes, request, response)));
    return response;
  };
  const read = async <T>(path: string): Promise<T> => (await (await ask(path)).json()) as T;
  let count = 0;
  const send = async <T = { id: string }>(
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
    status = 201,
  ): Promise<T> => {
    const response = await ask(path, { method: "POST", body: JSON.stringify(body), headers });
    expect(`${path} ${response.status}`).toBe(`${path} ${status}`);
    return (await response.json()) as T;
  };
  const resetSecret = async (email: string) => {
    const order = { method: "POST", body: JSON.stringify({ email }) };
    const warning = (await ask("/password-resets", order)).headers.get("X-Heroku-Warning");
    return /[^/]+$/.exec(warning ?? "")?.[0] ?? "";
  };
  /** As new people come in: added to an app, with a link for a password. Returns a token. */
  const newPerson = async (email: string) => {
    await send("/apps/shop/collaborators", { user: email });
    const finalize = `/password-resets/${await resetSecret(email)}/actions/finalize`;
    await send(finalize, { password, password_confirmation: password }, {}, 200);
    const basic = { Authorization: `Basic ${btoa(`${email}:${password}`)}` };
    const order = { description: email, scope: ["global"] };
    const login = await send<{ access_token: { token: string } }>(
      "/oauth/authorizations",
      order,
      basic,
    );
    return login.access_token.token;
  };
  const friend = "friend@example.com";
  const friendsToken = await newPerson(friend);
  const releases =
    await read<{ id: string; version: number; slug: { id: string } | null }[]>(
      "/apps/shop/releases",
    );
  const release = releases.findLast(({ slug }) => slug !== null);
  const newApp = async () => (await send("/apps", { name: `more-${++count}` })).id;
  const transfer = async () =>
    send("/account/app-transfers", { app: await newApp(), recipient: friend });
  const collaborator = { user: friend };
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
  const newHost = () => ({ hostname: `www-${++count}.example.com`, sni_endpoint: null });
  const newDomain = async (): Promise<Visit> => ({
    values: { domain: (await send("/apps/shop/domains", newHost())).id },
  });
  const newPem = async () => {
    const { certificate, privateKey } = await makeCertificate([`www-${++count}.example.com`]);
    return { certificate_chain: certificate, private_key: privateKey };
  };
  const newEndpoint = async (): Promise<Visit> => ({
    values: { "sni-endpoint": (await send("/apps/shop/sni-endpoints", await newPem())).id },
  });
  const newBuild = { source_blob: { url: "https://127.0.0.1:1/source.tgz", version: "v1" } };
  const whenSettled = async (): Promise<Visit> => {
    await settled();
    return {};
  };
  const visits: Record<string, () => Visit | Promise<Visit>> = {
    "PATCH /account/features/{account-feature}": () => ({ body: { enabled: true } }),
    "PATCH /account": () => ({ body: { name: "The Owner" } }),
    "PATCH /users/{account}": () => ({ body: { allow_tracking: false } }),
    "DELETE /account": async () => ({ token: await newPerson(`passing-${++count}@example.com`) }),
    "DELETE /users/{account}": async () => ({
      token: await newPerson(`passing-${++count}@example.com`),
    }),
    "PATCH /apps/{app}/features/{app-feature}": () => ({ body: { enabled: true } }),
    "POST /account/app-transfers": async () => ({
      body: { app: await newApp(), recipient: friend },
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
      return { values: { collaborator: friend } };
    },
    "DELETE /apps/{app}/collaborators/{collaborator}": async () => {
      const { id } = await send("/apps/shop/collaborators", collaborator);
      return { values: { collaborator: id } };
    },
    "PATCH /apps/{app}/config-vars": () => ({ body: { A: "1" } }),
    "POST /apps/{app}/dynos": () => ({ body: { command: "true" } }),
    "DELETE /apps/{app}/dynos/{dyno}": whenSettled,
    "DELETE /apps/{app}/formations/{dyno.formation_type}": whenSettled,
    "POST /apps/{app}/dynos/{dyno}/actions/stop": whenSettled,
    "POST /apps/{app}/formations/{dyno.formation_type}/actions/stop": whenSettled,
    "GET /apps/{app}/dynos/{dyno}": whenSettled,
    "POST /apps/{app}/dynos/{dyno}": async () => {
      await settled();
      return { body: { command: "true" } };
    },
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
    "POST /password-resets": () => ({ body: { email: friend } }),
    "POST /password-resets/{password-reset.reset_password_token}/actions/finalize": async () => {
      const secret = await resetSecret(friend);
      return {
        values: { "password-reset.reset_password_token": secret },
        body: { password, password_confirmation: password },
      };
    },
    "POST /apps/{app}/releases (Rollback)": () => ({ body: { release: release?.id } }),
    "POST /apps/{app}/releases": () => ({ body: { slug: release?.slug?.id } }),
    "PATCH /users/{user-preferences}/preferences": () => ({ body: { timezone: "UTC" } }),
    "POST /apps/{app}/domains": () => ({ body: newHost() }),
    "GET /apps/{app}/domains/{domain}": newDomain,
    "PATCH /apps/{app}/domains/{domain}": async () => ({
      ...(await newDomain()),
      body: { sni_endpoint: null },
    }),
    "DELETE /apps/{app}/domains/{domain}": newDomain,
    "POST /apps/{app}/sni-endpoints": async () => ({ body: await newPem() }),
    "GET /apps/{app}/sni-endpoints/{sni-endpoint}": newEndpoint,
    "PATCH /apps/{app}/sni-endpoints/{sni-endpoint}": async () => ({
      ...(await newEndpoint()),
      body: await newPem(),
    }),
    "DELETE /apps/{app}/sni-endpoints/{sni-endpoint}": newEndpoint,
    "POST /apps/{app}/builds": () => ({ body: newBuild }),
    "DELETE /apps/{app}/builds/{build}": async () => ({
      values: { build: (await send("/apps/shop/builds", newBuild)).id },
    }),
    "PUT /apps/{app}/buildpack-installations": () => ({ body: { updates: [] } }),
    "POST /apps/{app}/slugs": () => ({ body: { process_types: { web: "true" } } }),
  };
  const [authorization = { id: "" }] = await read<{ id: string }[]>("/oauth/authorizations");
  const [build = { id: "" }] = await read<{ id: string }[]>("/apps/shop/builds");
  const [stack = { name: "" }] = await read<{ name: string }[]>("/stacks");
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
    release: String(release?.version),
    slug: release?.slug?.id ?? "",
    stack: stack.name,
  };
  return { ask, values, visits, unsaidThings };
}
