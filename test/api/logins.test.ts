import { afterEach, beforeEach, expect, test } from "bun:test";
import { codeAt } from "../../src/lib/one-time-code.ts";
import { createAccount, findAccount } from "../../src/model/account.ts";
import { createToken } from "../../src/model/token.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

// Passwords are slow to check, and are meant to be.
let served: ReturnType<typeof serveLocalPlatform>;
beforeEach(() => {
  served = serveLocalPlatform();
});
afterEach(() => served.stop());

const password = "correct horse battery";
type Json = Record<string, unknown>;

async function send(method: string, path: string, body: unknown = {}, headers = {}) {
  const text = method === "GET" ? {} : { body: JSON.stringify(body) };
  const response = await served.ask(path, { method, headers, ...text });
  return {
    status: response.status,
    headers: response.headers,
    answer: (await response.json()) as Json,
  };
}

const basic = (secret: string, email = "owner@example.com") => ({
  Authorization: `Basic ${btoa(`${email}:${secret}`)}`,
});
const logIn = (secret: string, headers = {}) =>
  send(
    "POST",
    "/oauth/authorizations",
    { description: "a laptop", expires_in: 3600, scope: ["global"] },
    { ...basic(secret), ...headers },
  );
const secretOf = ({ answer }: { answer: Json }) => (answer.access_token as { token: string }).token;
const setPassword = () => send("PATCH", "/account", { new_password: password });

test("a password opens the login and nothing else, and gives a token that expires and is a session", async () => {
  expect((await setPassword()).status).toBe(200);
  expect((await logIn("wrong")).status).toBe(401);
  expect((await send("GET", "/account", {}, basic(password))).status).toBe(401);
  const login = await logIn(password);
  expect(login.status).toBe(201);
  expect(structuredClone(login.answer)).toMatchObject({
    access_token: { expires_in: 3600, token: expect.stringMatching(/^STTR-.{43}$/) },
    scope: ["global"],
    session: { id: expect.any(String) },
    user: { email: "owner@example.com" },
  });
  const bearer = { Authorization: `Bearer ${secretOf(login)}` };
  expect((await send("GET", "/account", {}, bearer)).answer.last_login).not.toBeNull();
  const sessions = (await send("GET", "/oauth/sessions")).answer as unknown as Json[];
  expect(sessions).toMatchObject([{ description: "a laptop" }]);
  expect((await send("DELETE", "/oauth/sessions/~", {}, bearer)).status).toBe(200);
  expect((await send("GET", "/account", {}, bearer)).status).toBe(401);
  expect((await send("DELETE", "/oauth/sessions/~")).answer.resource).toBe("session");
});

test("a time may come as a text, as Heroku's command line sends it", async () => {
  const made = await send("POST", "/oauth/authorizations", { expires_in: "1000" });
  expect(made.answer.access_token).toMatchObject({ expires_in: 1000 });
  for (const wrong of ["", "1e3", "-1", "0", 0, 1.5, "9".repeat(12)])
    expect((await send("POST", "/oauth/authorizations", { expires_in: wrong })).status).toBe(422);
});

test("an expired token opens nothing", async () => {
  const { platform, account } = served;
  const expiresAt = new Date(Date.now() - 1);
  const token = createToken(platform.database, { account, description: "", expiresAt });
  expect((await send("GET", "/account", {}, { Authorization: `Bearer ${token}` })).status).toBe(
    401,
  );
});

test("a token's text is shown once, then its beginning; its last use is told; revoked it opens nothing", async () => {
  const made = await send("POST", "/oauth/authorizations", { description: "ci", scope: ["read"] });
  const token = secretOf(made);
  const path = `/oauth/authorizations/${made.answer.id as string}`;
  expect((await send("GET", path)).answer).toMatchObject({
    access_token: { token: `${token.slice(0, 9)}********`, expires_in: null },
    last_used_at: null,
  });
  const bearer = { Authorization: `Bearer ${token}` };
  expect((await send("GET", "/apps", {}, bearer)).status).toBe(200);
  expect((await send("GET", path)).answer.last_used_at).toMatch(/^\d{4}-/);
  const renewed = await send("POST", `${path}/actions/regenerate-tokens`);
  expect((await send("GET", "/apps", {}, bearer)).status).toBe(401);
  const after = { Authorization: `Bearer ${secretOf(renewed)}` };
  expect((await send("GET", "/apps", {}, after)).status).toBe(200);
  await send("DELETE", path);
  expect((await send("GET", "/apps", {}, after)).status).toBe(401);
});

test("a new password ends the sessions of the old one, and asks for it", async () => {
  await setPassword();
  const bearer = { Authorization: `Bearer ${secretOf(await logIn(password))}` };
  const next = "another long password";
  expect((await send("PATCH", "/account", { new_password: next })).status).toBe(422);
  expect((await send("PATCH", "/account", { new_password: "short", password })).status).toBe(422);
  expect((await send("PATCH", "/account", { new_password: next, password })).status).toBe(200);
  expect((await send("GET", "/account", {}, bearer)).status).toBe(401);
  expect((await logIn(password)).status).toBe(401);
  expect((await logIn(next)).status).toBe(201);
});

test("guessing ends after ten tries for an account, also when they come all at once", async () => {
  await setPassword();
  const statuses = await Promise.all(
    Array.from({ length: 14 }, async () => (await logIn("wrong")).status),
  );
  expect(statuses.filter((status) => status === 401)).toHaveLength(10);
  expect(statuses.filter((status) => status === 429)).toHaveLength(4);
  const right = await logIn(password);
  expect(right.status).toBe(429);
  expect(right.answer.message).toContain("Wait 15 minutes");
  // Tokens open as before.
  expect((await send("GET", "/account")).status).toBe(200);
});

test("with a second factor a login needs its code, each code once, and a lost one can be replaced", async () => {
  await setPassword();
  const begun = await send("POST", "/account/second-factor", { password });
  const { secret, url } = begun.answer as { secret: string; url: string };
  expect(url).toStartWith("otpauth://totp/api.localhost:owner%40example.com?secret=");
  // What is not confirmed counts for nothing.
  expect((await logIn(password)).status).toBe(201);
  const step = Math.floor(Date.now() / 30_000);
  const wrong = await send("POST", "/account/second-factor/actions/confirm", { code: "000000" });
  expect(wrong.status).toBe(422);
  const confirmed = await send("POST", "/account/second-factor/actions/confirm", {
    code: codeAt(secret, step),
  });
  const codes = confirmed.answer.recovery_codes as string[];
  expect(codes).toHaveLength(10);

  const withCode = (code: string) => logIn(password, { "Heroku-Two-Factor-Code": code });
  const asked = await logIn(password);
  expect([asked.status, asked.answer.id]).toEqual([403, "two_factor"]);
  expect((await withCode("123456")).answer.id).toBe("two_factor");
  expect((await withCode(codeAt(secret, step))).answer.id).toBe("two_factor");
  expect((await withCode(codeAt(secret, step + 1))).status).toBe(201);
  expect((await withCode(codes[0] ?? "")).status).toBe(201);
  expect((await withCode(codes[0] ?? "")).status).toBe(403);
  expect((await send("GET", "/account")).answer.two_factor_authentication).toBe(true);

  const code = { "Heroku-Two-Factor-Code": codes[1] ?? "" };
  expect((await send("DELETE", "/account/second-factor", { password })).status).toBe(403);
  expect((await send("DELETE", "/account/second-factor", { password }, code)).status).toBe(200);
  expect((await logIn(password)).status).toBe(201);
});

test("a login with a browser: the program waits, the person logs in, the program gets a token", async () => {
  await setPassword();
  const begun = await fetch(`${served.url}/auth`, {
    ...{ method: "POST", body: '{"description": "CLI <on> laptop"}' },
    headers: { "Content-Type": "application/json" },
  });
  const urls = (await begun.json()) as { browser_url: string; cli_url: string; token: string };
  const wait = (token: string) =>
    fetch(served.url + urls.cli_url, { headers: { Authorization: `Bearer ${token}` } });
  expect((await wait("guessed")).status).toBe(401);
  const waiting = wait(urls.token);
  const page = await fetch(served.url + urls.browser_url);
  expect(page.headers.get("Content-Security-Policy")).toContain("default-src 'none'");
  const html = await page.text();
  expect(html).toContain("CLI &#60;on&#62; laptop at 127.0.0.1 wants to act for you");
  const submit = (secret: string) =>
    fetch(served.url + urls.browser_url, {
      method: "POST",
      body: new URLSearchParams({ email: "owner@example.com", password: secret, code: "" }),
    });
  const refused = await submit("wrong");
  expect([refused.status, await refused.text()]).toEqual([
    401,
    expect.stringContaining("Invalid credentials provided."),
  ]);
  expect((await submit(password)).status).toBe(200);
  const { access_token: token } = (await (await waiting).json()) as { access_token: string };
  expect((await send("GET", "/account", {}, { Authorization: `Bearer ${token}` })).status).toBe(
    200,
  );
  expect((await submit(password)).status).toBe(404);
});

test("who is new gets an account by being added, chooses a password by a link that opens once, and logs in", async () => {
  const { platform, account } = served;
  await platform.createApp({ name: "shop", user: account });
  const email = "new@example.com";
  const added = await send("POST", "/apps/shop/collaborators", { user: email });
  expect(added.status).toBe(201);
  expect(added.answer).toMatchObject({ role: "collaborator", user: { email } });
  const [link = ""] = /http:\S+$/.exec(added.headers.get("X-Heroku-Warning") ?? "") ?? [];
  const { pathname } = new URL(link);
  const choose = (one: string, again = one) =>
    fetch(served.url + pathname, {
      method: "POST",
      body: new URLSearchParams({ password: one, again }),
    });
  expect((await fetch(served.url + pathname)).status).toBe(200);
  expect((await choose("short")).status).toBe(422);
  expect((await choose(password, `${password}!`)).status).toBe(422);
  expect((await choose(password)).status).toBe(200);
  expect((await choose(password)).status).toBe(404);
  const order = { description: "", scope: ["global"] };
  const login = await send("POST", "/oauth/authorizations", order, basic(password, email));
  const bearer = { Authorization: `Bearer ${secretOf(login)}` };
  expect((await send("GET", "/apps/shop", {}, bearer)).status).toBe(200);
  // Only who runs the server brings new people in.
  await send("POST", "/apps", { name: "theirs" }, bearer);
  const refused = await send(
    "POST",
    "/apps/theirs/collaborators",
    { user: "x@example.com" },
    bearer,
  );
  expect(refused.status).toBe(422);
  expect(refused.answer.message).toContain("owner@example.com");
  // Who leaves, has left.
  await send("DELETE", `/apps/shop/collaborators/${email}`, {}, bearer);
  expect((await send("GET", "/apps/shop", {}, bearer)).status).toBe(404);
});

test("a client gets a code by the person's consent, exchanges it once, and renews its token", async () => {
  await setPassword();
  const client = (
    await send("POST", "/oauth/clients", {
      name: "Robot",
      redirect_uri: "http://localhost:9/back?x=1",
    })
  ).answer as { id: string; secret: string };
  const query = new URLSearchParams({
    ...{ client_id: client.id, response_type: "code", scope: "identity read", state: "s t" },
  });
  const page = await fetch(`${served.url}/oauth/authorize?${query}`);
  expect(await page.text()).toContain(
    "It asks for: identity, read. What it gets goes to localhost:9.",
  );
  const allowed = await fetch(`${served.url}/oauth/authorize?${query}`, {
    ...{ method: "POST", redirect: "manual" },
    body: new URLSearchParams({ email: "owner@example.com", password }),
  });
  expect(allowed.status).toBe(303);
  const back = new URL(allowed.headers.get("Location") ?? "");
  expect([back.host, back.searchParams.get("x"), back.searchParams.get("state")]).toEqual([
    "localhost:9",
    "1",
    "s t",
  ]);
  const code = back.searchParams.get("code") ?? "";
  const exchange = (grant: Json, secret = client.secret, token = "") =>
    send("POST", "/oauth/tokens", { client: { secret }, grant, refresh_token: { token } });
  const byCode = { type: "authorization_code", code };
  expect((await exchange(byCode, "wrong")).status).toBe(401);
  const first = await exchange(byCode);
  expect(first.status).toBe(201);
  expect((await exchange(byCode)).status).toBe(401);
  const bearer = { Authorization: `Bearer ${secretOf(first)}` };
  expect((await send("GET", "/apps", {}, bearer)).status).toBe(200);
  expect((await send("POST", "/apps", {}, bearer)).status).toBe(403);
  const refresh = (first.answer.refresh_token as { token: string }).token;
  const second = await exchange({ type: "refresh_token" }, client.secret, refresh);
  expect(second.status).toBe(201);
  expect((await send("GET", "/apps", {}, bearer)).status).toBe(401);
  expect((await exchange({ type: "refresh_token" }, client.secret, refresh)).status).toBe(401);
  const after = { Authorization: `Bearer ${secretOf(second)}` };
  expect((await send("GET", "/apps", {}, after)).status).toBe(200);
  await send("DELETE", `/oauth/clients/${client.id}`);
  expect((await send("GET", "/apps", {}, after)).status).toBe(401);
});

test("an app goes to another owner when he accepts, and not before", async () => {
  const { platform, account } = served;
  const { database } = platform;
  await platform.createApp({ name: "shop", user: account });
  const friend = createAccount(database, "friend@example.com");
  const bearer = {
    Authorization: `Bearer ${createToken(database, { account: friend, description: "" })}`,
  };
  const order = { app: "shop", recipient: "friend@example.com" };
  const offer = (await send("POST", "/account/app-transfers", order)).answer as { id: string };
  const path = `/account/app-transfers/${offer.id}`;
  expect((await send("GET", "/apps/shop", {}, bearer)).status).toBe(404);
  await send("POST", "/apps/shop/collaborators", { user: "friend@example.com" });
  expect((await send("PATCH", path, { state: "accepted" })).status).toBe(403);
  expect((await send("PATCH", path, { state: "accepted" }, bearer)).status).toBe(200);
  expect((await send("GET", "/apps/shop", {}, bearer)).answer.owner).toMatchObject({
    email: "friend@example.com",
  });
  expect((await send("GET", "/apps/shop")).status).toBe(404);
  const people = await send("GET", "/apps/shop/collaborators", {}, bearer);
  expect(people.answer).toMatchObject([{ role: "owner" }]);
  expect((await send("PATCH", path, { state: "declined" }, bearer)).status).toBe(422);
});

test("a deleted account opens nothing any more, and what it did keeps its name out", async () => {
  const { database } = served.platform;
  const leaver = createAccount(database, "leaver@example.com");
  const token = createToken(database, { account: leaver, description: "" });
  const bearer = { Authorization: `Bearer ${token}` };
  await send("POST", "/apps", { name: "last" }, bearer);
  expect((await send("DELETE", "/account", {}, bearer)).status).toBe(422);
  await send("DELETE", "/apps/last", {}, bearer);
  expect((await send("DELETE", "/account", {}, bearer)).status).toBe(200);
  expect((await send("GET", "/account", {}, bearer)).status).toBe(401);
  expect(findAccount(database, leaver.id)?.email).not.toContain("leaver");
  expect((await send("DELETE", "/account")).status).toBe(422);
});

test("SSH keys are known by their fingerprint, and nonsense is refused", async () => {
  // Of `ssh-keygen -t ed25519`; its fingerprint by `ssh-keygen -l`.
  const key =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@h";
  const made = await send("POST", "/account/keys", { public_key: key });
  expect(made.answer).toMatchObject({
    comment: "me@h",
    public_key: key,
    email: "owner@example.com",
  });
  const { fingerprint } = made.answer as { fingerprint: string };
  const found = await send("GET", `/account/keys/${encodeURIComponent(fingerprint)}`);
  expect(found.answer.id).toBe(made.answer.id as string);
  for (const bad of [
    "",
    "hello",
    "ssh-rsa AAAA",
    key.replace("ed25519", "rsa"),
    "x".repeat(30_000),
  ])
    expect((await send("POST", "/account/keys", { public_key: bad })).status).toBe(422);
  expect((await send("POST", "/account/keys", { public_key: key })).status).toBe(422);
  expect((await send("DELETE", `/account/keys/${made.answer.id as string}`)).status).toBe(200);
});
