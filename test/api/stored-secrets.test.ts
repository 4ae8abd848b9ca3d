import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { codeAt } from "../../src/lib/one-time-code.ts";
import { secretHash } from "../../src/lib/secret.ts";
import { tokens } from "../../src/model/token.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

// Passwords are slow to check, and are meant to be.
let served: ReturnType<typeof serveLocalPlatform>;
beforeAll(() => {
  served = serveLocalPlatform({}, undefined, { isOnDisk: true });
});
afterAll(() => served.stop());

const email = "owner@example.com";
const password = "correct horse battery staple";

type Json = Record<string, unknown>;
async function send(method: string, path: string, body: Json = {}, headers: Json = {}) {
  const text = method === "GET" ? {} : { body: JSON.stringify(body) };
  const response = await served.ask(path, {
    ...{ method, ...text },
    headers: headers as Record<string, string>,
  });
  const answer = (await response.json()) as Json;
  expect(`${method} ${path} ${response.status} ${JSON.stringify(answer)}`).toMatch(/^\S+ \S+ 20/);
  return { answer, headers: response.headers };
}
const tokenIn = (thing: unknown) => (thing as { token: string }).token;
const basic = { Authorization: `Basic ${btoa(`${email}:${password}`)}` };

/** Every file of the data folder, as bytes: the store, what it wrote ahead, the logs. */
function filesOfPlatform(): Map<string, Buffer> {
  const names = readdirSync(served.folder, { recursive: true, withFileTypes: true });
  return new Map(
    names
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name))] as const),
  );
}

/** Every secret that the API tells, each by the way in which a person or a program comes by it. */
async function tellAllSecrets(): Promise<Map<string, string>> {
  const secrets = new Map([["the owner's token", served.token]]);
  await served.platform.createApp({ name: "shop", user: served.account });
  await send("PATCH", "/account", { new_password: password });
  secrets.set("the password", password);

  const login = await send("POST", "/oauth/authorizations", { expires_in: 3600 }, basic);
  secrets.set("a login by password", tokenIn(login.answer["access_token"]));

  const made = await send("POST", "/oauth/authorizations", { scope: ["read"] });
  secrets.set("an authorization", tokenIn(made.answer["access_token"]));
  const renewed = await send(
    "POST",
    `/oauth/authorizations/${made.answer["id"] as string}/actions/regenerate-tokens`,
  );
  secrets.set("a rotated authorization", tokenIn(renewed.answer["access_token"]));

  const begun = await send("POST", "/auth", { description: "a laptop" });
  const { browser_url, cli_url, token } = begun.answer as Record<string, string>;
  secrets.set("what a program waits with", token ?? "");
  const waiting = fetch(served.url + cli_url, { headers: { Authorization: `Bearer ${token}` } });
  await fetch(served.url + browser_url, {
    method: "POST",
    body: new URLSearchParams({ email, password, code: "" }),
  });
  const { access_token } = (await (await waiting).json()) as { access_token: string };
  secrets.set("a login by browser", access_token);

  const redirect_uri = "http://localhost:9/back";
  const { answer: client } = await send("POST", "/oauth/clients", { name: "Robot", redirect_uri });
  secrets.set("a client's secret", client["secret"] as string);
  const query = new URLSearchParams({
    ...{ client_id: client["id"] as string, response_type: "code", scope: "read" },
  });
  const allowed = await fetch(`${served.url}/oauth/authorize?${query}`, {
    ...{ method: "POST", redirect: "manual" },
    body: new URLSearchParams({ email, password }),
  });
  const code = new URL(allowed.headers.get("Location") ?? "").searchParams.get("code") ?? "";
  secrets.set("a client's code", code);
  const exchanged = await send("POST", "/oauth/tokens", {
    client: { secret: client["secret"] },
    grant: { type: "authorization_code", code },
  });
  secrets.set("a client's token", tokenIn(exchanged.answer["access_token"]));
  secrets.set("a client's refresh token", tokenIn(exchanged.answer["refresh_token"]));

  const grant = await send("POST", "/oauth/authorizations", { client: client["id"] });
  secrets.set("a grant", (grant.answer["grant"] as { code: string }).code);

  const added = await send("POST", "/apps/shop/collaborators", { user: "new@example.com" });
  const link = /\/login\/password\/(\S+)$/.exec(added.headers.get("X-Heroku-Warning") ?? "");
  secrets.set("the link to choose a password", link?.[1] ?? "");

  const session = await send("POST", "/apps/shop/log-sessions");
  secrets.set("a log session", (session.answer["logplex_url"] as string).split("/").at(-1) ?? "");
  await (await fetch(`${served.url}/log-streams/${secrets.get("a log session")}`)).text();

  await send("PATCH", "/apps/shop/config-vars", { SECRET: "value-of-a-config-var" });
  secrets.set("a config var", "value-of-a-config-var");

  const { answer: factor } = await send("POST", "/account/second-factor", { password });
  const { secret: key } = factor as { secret: string };
  secrets.set("the second factor", key);
  const codes = await send("POST", "/account/second-factor/actions/confirm", {
    code: codeAt(key, Math.floor(Date.now() / 30_000)),
  });
  secrets.set("a recovery code", (codes.answer["recovery_codes"] as string[])[0] ?? "");
  return secrets;
}

test("no secret that the API tells stands in a file of the platform: neither in the store nor in what it wrote ahead", async () => {
  const secrets = await tellAllSecrets();
  const files = filesOfPlatform();
  expect([...files.keys()]).toContain("stator.db");
  // What was written last is still there: it was not yet moved into the store.
  expect(files.get("stator.db-wal")?.length).toBeGreaterThan(0);
  // The search finds what is stored: a hash, and a description.
  const whole = Buffer.concat([...files.values()]);
  expect(whole.includes(secretHash(served.token))).toBe(true);
  expect(whole.includes("a laptop")).toBe(true);
  for (const [what, secret] of secrets) {
    expect(`${what}: ${secret}`).toMatch(/: \S.{9}/);
    const bytes = Buffer.from(secret.replace(/^STTR-/, ""), "base64url");
    for (const [name, content] of files)
      expect([
        `${what} in ${name}`,
        content.includes(secret),
        content.includes(secret.slice(-16)),
        content.includes(bytes),
      ]).toEqual([`${what} in ${name}`, false, false, false]);
  }
});

test("after the store is moved together it holds none either, and of each token the hash alone", async () => {
  const { $client: sqlite } = served.platform.database;
  sqlite.run("PRAGMA wal_checkpoint(TRUNCATE)");
  expect(filesOfPlatform().get("stator.db-wal")?.length).toBe(0);
  expect(filesOfPlatform().get("stator.db")?.includes("STTR-")).toBe(true);
  // Of a token's own text four letters stand there, to tell one from another.
  const stored = filesOfPlatform().get("stator.db")?.toString("latin1") ?? "";
  expect(stored).not.toMatch(/STTR-[\w-]{43}/);
  for (const { sha256, hint } of served.platform.database.select().from(tokens).all()) {
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(hint ?? "STTR-none").toMatch(/^STTR-[\w-]{4}$/);
  }
});

test("a token is looked for by its hash, in an index, so that no time tells what a guess has in common with it", async () => {
  const { $client: sqlite } = served.platform.database;
  for (const column of ["sha256", "refreshSha256", "grantSha256"]) {
    const plan = sqlite
      .query<{ detail: string }, []>(
        `EXPLAIN QUERY PLAN SELECT id FROM tokens WHERE ${column} = 'x'`,
      )
      .all();
    expect(plan.map(({ detail }) => detail).join()).toMatch(/SEARCH tokens USING .*INDEX/);
  }
  // Who has stolen the store has hashes, and they open nothing.
  for (const { sha256 } of served.platform.database.select().from(tokens).all())
    for (const guess of [sha256, `STTR-${sha256}`]) {
      const answer = await served.ask("/account", {
        headers: { Authorization: `Bearer ${guess}` },
      });
      expect(answer.status).toBe(401);
    }
});
