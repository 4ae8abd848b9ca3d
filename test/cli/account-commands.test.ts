import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { differenceOf } from "../../src/cli/connect.ts";
import { codeAt } from "../../src/lib/one-time-code.ts";
import { exec } from "../../src/lib/exec.ts";
import { createAccount } from "../../src/model/account.ts";
import { createToken } from "../../src/model/token.ts";
import { commandLine } from "../helpers/command-line.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

// Passwords are slow to check, and meant to be.

let served: ReturnType<typeof serveLocalPlatform>;
let person: ReturnType<typeof commandLine>;
beforeAll(() => {
  served = serveLocalPlatform();
});
afterAll(() => served.stop());
beforeEach(() => {
  person = commandLine({ STATOR_API: served.apiUrl, STATOR_API_KEY: served.token });
});
afterEach(() => person.remove());

async function ok(...argv: string[]): Promise<string> {
  const { status, out, err } = await person.stator(...argv);
  expect(`${argv.join(" ")}: ${status}${status === 0 ? "" : err}`).toBe(`${argv.join(" ")}: 0`);
  return out;
}

/** A command with the answers to its questions in a pipe. */
async function told(argv: string[], ...lines: string[]) {
  const child = person.start(argv, { input: `${lines.join("\n")}\n` });
  const [out, err, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, status };
}

const ask = async <T>(path: string) => (await (await served.ask(path)).json()) as T;

test("access: someone new gets a link, and goes again", async () => {
  await ok("create", "shared");
  const added = await person.stator("access:add", "friend@example.com", "-a", "shared");
  expect(added.err).toContain("Adding friend@example.com access to the app ⬢ shared... ");
  expect(added.err).toMatch(
    / ▸ {4}Warning: friend@example\.com is new here\. .*\/login\/password\//,
  );
  expect(await ok("access", "-a", "shared")).toBe(
    "friend@example.com  collaborator  deploy, operate, view\nowner@example.com   owner         deploy, operate, view\n",
  );
  await ok("access:remove", "friend@example.com", "-a", "shared");
  expect(JSON.parse(await ok("access", "--json", "-a", "shared"))).toHaveLength(1);
});

test("an app is handed over, when both want it", async () => {
  const friend = createAccount(served.platform.database, "buyer@example.com");
  const token = createToken(served.platform.database, { account: friend, description: "test" });
  const other = commandLine({ STATOR_API: served.apiUrl, STATOR_API_KEY: token });
  await ok("create", "handed");
  const refused = await person.stator("transfer", "buyer@example.com", "-a", "handed", "-c", "no");
  expect(refused.err).toContain('Confirmation "no" did not match handed.');
  const begin = ["apps:transfer", "buyer@example.com", "-a", "handed", "--confirm", "handed"];
  await ok(...begin);
  expect(await ok("transfers")).toContain(
    "handed  from owner@example.com  to buyer@example.com  pending",
  );
  await ok("transfers:cancel", "handed");
  expect(await ok("transfers")).toBe("No transfers.\n");
  await ok(...begin);
  expect((await other.stator("transfers:accept", "handed")).status).toBe(0);
  expect((await other.stator("info", "handed")).out).toMatch(/Owner: +buyer@example.com/);
  expect((await person.stator("info", "handed")).status).toBe(1);
  other.remove();
});

test("keys: the usual file, another one, never a private one", async () => {
  expect((await person.stator("keys:add")).err).toContain("ssh-keygen -t ed25519");
  await exec(["mkdir", join(person.home, ".ssh")]);
  const path = join(person.home, ".ssh/id_ed25519");
  await exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@here", "-f", path]);
  await ok("keys:add");
  expect(await ok("keys")).toMatch(/^=== owner@example\.com keys\n\n\S+ me@here\n$/);
  expect((await person.stator("keys:add", path)).err).toContain("is a private key");
  await ok("keys:remove", "me@here");
  await ok("keys:add", `${path}.pub`);
  await ok("keys:clear");
  expect(await ok("keys")).toContain("You have no SSH keys.");
});

test("authorizations and clients: secrets are shown once", async () => {
  const token = (await ok("authorizations:create", "-S", "-d", "for CI", "-s", "read")).trim();
  expect(token).toMatch(/^STTR-/);
  const [made] = (await ask<{ id: string; description: string }[]>("/oauth/authorizations")).filter(
    ({ description }) => description === "for CI",
  );
  const id = made?.id ?? "";
  expect(await ok("authorizations:info", id)).not.toContain(token);
  expect(await ok("authorizations")).toMatch(/for CI +\S+ +read +never used/);
  await ok("authorizations:update", id, "-d", "for nobody");
  expect(await ok("authorizations:rotate", id)).toContain("Description: for nobody");
  await ok("authorizations:revoke", id);
  expect((await person.stator("authorizations:info", id)).status).toBe(1);
  const wrong = await person.stator("authorizations:create", "-s", "everything");
  expect(wrong.err).toContain("scope");

  const created = await ok("clients:create", "tool", "https://tool.example/back");
  const [, client = ""] = /HEROKU_OAUTH_ID=(\S+)\nHEROKU_OAUTH_SECRET=\S+\n/.exec(created) ?? [];
  await ok("clients:update", client, "-n", "other");
  expect(await ok("clients")).toBe(`other  ${client}  https://tool.example/back\n`);
  expect(await ok("clients:rotate", client)).not.toBe(created);
  await ok("clients:destroy", client);
  expect(await ok("clients")).toBe("No OAuth clients.\n");
});

test("a password, a login by it with the second factor, the sessions", async () => {
  const api = ["--api", served.apiUrl] as const;
  await ok("account");
  expect(await told(["account:password"], "", "a long password")).toMatchObject({ status: 0 });
  const login = ["login", "-i", ...api];
  expect(await told(login, "owner@example.com", "wrong")).toMatchObject({ status: 1 });
  expect(await told(login, "owner@example.com", "a long password")).toMatchObject({ status: 0 });

  const factor = await ask<unknown>("/account");
  expect(factor).toMatchObject({ two_factor_authentication: false });
  const begin = await served.ask("/account/second-factor", {
    method: "POST",
    body: JSON.stringify({ password: "a long password" }),
  });
  const { secret } = (await begin.json()) as { secret: string };
  const confirmed = await served.ask("/account/second-factor/actions/confirm", {
    method: "POST",
    body: JSON.stringify({ code: codeAt(secret, Math.floor(Date.now() / 30_000)) }),
  });
  const { recovery_codes: codes } = (await confirmed.json()) as { recovery_codes: string[] };
  expect(await ok("2fa")).toBe("Two-factor authentication is enabled\n");
  const without = await told(login, "owner@example.com", "a long password", "000000");
  expect(without.err).toContain("That second factor is not right");
  const both = await told(login, "owner@example.com", "a long password", codes[0] ?? "");
  expect(both).toMatchObject({ status: 0 });
  const sessions = JSON.parse(await ok("sessions", "--json")) as { id: string }[];
  expect(sessions).toHaveLength(2);
  await ok("sessions:destroy", sessions[0]?.id ?? "");
  expect(JSON.parse(await ok("sessions", "--json"))).toHaveLength(1);
  const off = ["2fa:disable", "--confirm", "owner@example.com"];
  expect(await told(off, "a long password", codes[1] ?? "")).toMatchObject({ status: 0 });
  expect(await ok("2fa")).toBe("Two-factor authentication is not enabled\n");

  const browser = person.start(["login", "--browser", ...api]);
  let said = "";
  for await (const bytes of browser.stderr) {
    said += Buffer.from(bytes).toString();
    const [, path] = /(\/login\/\S+)\n/.exec(said) ?? [];
    if (path === undefined) continue;
    const form = new URLSearchParams({ email: "owner@example.com", password: "a long password" });
    await fetch(`${served.url}${path}`, { method: "POST", body: form });
    break;
  }
  expect(await browser.exited).toBe(0);
  expect(JSON.parse(await ok("sessions", "--json"))).toHaveLength(2);
});

test("git:credentials answers for its own host alone; a clone asks no more", async () => {
  const { host } = new URL(served.gitUrl);
  const answer = await told(["git:credentials", "get"], "protocol=http", `host=${host}`, "");
  expect(answer.out).toBe(
    `protocol=http\nhost=${host}\nusername=stator\npassword=${served.token}\n`,
  );
  const other = await told(["git:credentials", "get"], "protocol=https", "host=evil.example", "");
  expect(other).toMatchObject({ status: 1, out: "" });
  expect(await told(["git:credentials", "store"], "")).toMatchObject({ status: 0, out: "" });
});

test("config:edit: all as JSON, or one value; what is away is removed", async () => {
  await ok("create", "edited");
  await ok("config:set", "A=1", "B=2", "-a", "edited");
  const editor = join(person.home, "editor");
  const edit = async (script: string, ...args: string[]) => {
    writeFileSync(editor, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    person.environment.EDITOR = `sh ${editor}`;
    return person.stator("config:edit", "-a", "edited", ...args);
  };
  expect((await edit(`printf '{"A": "3"}' >"$1"`)).err).toBe(
    "Updating A, B and restarting ⬢ edited... done, v4\n",
  );
  expect(await ask<unknown>("/apps/edited/config-vars")).toEqual({ A: "3" });
  await edit(`printf 'two\\nlines\\n' >"$1"`, "LONG");
  expect(await ask<unknown>("/apps/edited/config-vars")).toEqual({ A: "3", LONG: "two\nlines" });
  for (const script of [":", "exit 1", `echo nonsense >"$1"`, `echo '{"A": 1}' >"$1"`])
    expect((await edit(script)).status).toBe(1);
  expect(await ask<unknown>("/apps/edited/config-vars")).toEqual({ A: "3", LONG: "two\nlines" });
});

test("what the platform has: stacks, sizes, regions", async () => {
  await ok("create", "stacked");
  expect(await ok("stack", "-a", "stacked")).toBe(
    "=== ⬢ stacked Available Stacks\n\n  container\n* host\n",
  );
  await ok("create", "from-heroku", "--region", "eu", "--stack", "heroku-24");
  expect(await ok("stack", "-a", "from-heroku")).toBe(
    "=== ⬢ from-heroku Available Stacks\n\n  container\n* host (as heroku-24)\n",
  );
  expect(await ok("info", "-a", "from-heroku")).toMatch(/Region: +eu\n(.*\n)*Stack: +heroku-24\n/);
  expect(await ok("regions")).toBe("local  This machine\n");
  expect(await ok("sizes")).toContain("Standard-2X");
});

test("a server of another version is told of, once, and asked all the same", async () => {
  expect(differenceOf("0.1.0", "0.1.7")).toBeUndefined();
  expect(differenceOf("0.1.0", null)).toBeUndefined();
  const answers = { "/account": { email: "owner@example.com" }, "/regions": [] };
  const newer = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      const message = `The API has no ${request.method} ${pathname}.`;
      const headers = { "Stator-Version": "3.2.1" };
      return pathname in answers
        ? Response.json(answers[pathname as keyof typeof answers], { headers })
        : Response.json({ id: "not_found", message }, { status: 404, headers });
    },
  });
  person.environment.STATOR_API = `http://127.0.0.1:${newer.port}`;
  const { status, out, err } = await person.stator("whoami");
  const gone = await person.stator("keys");
  await newer.stop(true);
  // What it does not have any more is told, after the reason.
  expect(gone.status).toBe(1);
  expect(gone.err).toMatch(/the server is 3\.2\.1[^]*The API has no GET \/account\/keys\./);
  expect([status, out]).toEqual([0, "owner@example.com\n"]);
  expect(err).toStartWith(" ▸    Warning: this is stator 0.1.0, and the server is 3.2.1");
  expect(err.match(/Warning/g)).toHaveLength(1);
  expect((await served.ask("/account")).headers.get("Stator-Version")).toBe("0.1.0");
});

test("heroku's own login is kept away from ours", async () => {
  const bin = join(person.home, "heroku");
  writeFileSync(bin, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
  person.environment.PATH = `${person.home}:${person.environment.PATH}`;
  expect((await person.stator("heroku", "login")).err).toContain("stator login");
});
