import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, hostEnvironment } from "../../src/lib/exec.ts";
import { npmPackages } from "../helpers/npm-programs.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles } from "../helpers/stator-server.ts";

/** Heroku's clients for programs, unmodified, against a real server. */
const { stator, app } = await serveApp(probeFiles());
const work = mkdtempSync(join(tmpdir(), "stator-clients-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** What a program prints as JSON. */
async function answerOf(argv: [string, ...string[]], more: Record<string, string>) {
  const { exitCode, stdout, stderr } = await exec(argv, {
    cwd: work,
    env: { ...hostEnvironment, HOME: work, ...more },
  });
  expect(`${exitCode} ${stderr}`).toBe("0 ");
  return JSON.parse(stdout) as Record<string, unknown>;
}

const variables = {
  API: `http://127.0.0.1:${stator.port}`,
  HOST: `api.localhost:${stator.port}`,
  TOKEN: stator.credentials.token,
  APP: app.name,
};

test("npm's heroku-client: every resource that is here", async () => {
  const modules = await npmPackages("heroku-client@3.1.4");
  const program = `
const Heroku = require("heroku-client");
const heroku = new Heroku({ token: process.env.TOKEN, host: process.env.API, headers: { host: process.env.HOST } });
const app = "/apps/" + process.env.APP;
(async () => {
  const said = {};
  const lists = ["/apps", "/account", "/account/features", "/account/keys", "/account/app-transfers",
    "/account/rate-limits", "/oauth/authorizations", "/oauth/clients", "/regions", "/stacks", "/dyno-sizes",
    "/users/~", "/users/~/apps", app, app + "/collaborators", app + "/config-vars", app + "/dynos",
    app + "/features", app + "/formation", app + "/formation/web", app + "/releases", app + "/releases/3",
    app + "/available-stacks"];
  said.got = 0;
  for (const path of lists) if (await heroku.get(path)) said.got++;
  const made = await heroku.post("/apps", { body: { name: "by-client" } });
  said.made = made.name;
  said.vars = await heroku.patch("/apps/by-client/config-vars", { body: { A: "1" } });
  said.maintenance = (await heroku.patch("/apps/by-client", { body: { maintenance: true } })).maintenance;
  said.feature = (await heroku.patch("/apps/by-client/features/preboot", { body: { enabled: false } })).enabled;
  said.collaborator = (await heroku.post("/apps/by-client/collaborators", { body: { user: "c@example.com" } })).user.email;
  said.left = (await heroku.delete("/apps/by-client/collaborators/c@example.com")).user.email;
  said.formation = (await heroku.patch(app + "/formation", { body: { updates: [{ type: "web", quantity: 2 }] } }))[0].quantity;
  said.dyno = (await heroku.post(app + "/dynos", { body: { command: "true", attach: false } })).type;
  const token = await heroku.post("/oauth/authorizations", { body: { description: "x", scope: ["read"] } });
  said.revoked = (await heroku.delete("/oauth/authorizations/" + token.id)).id === token.id;
  said.session = /^http/.test((await heroku.post(app + "/log-sessions", { body: { lines: 1 } })).logplex_url);
  said.rollback = (await heroku.post(app + "/releases", { body: { release: (await heroku.get(app + "/releases/3")).id } })).version;
  said.gone = (await heroku.delete("/apps/by-client")).name;
  said.missing = await heroku.get("/apps/by-client").catch((error) => error.statusCode + " " + error.body.id);
  console.log(JSON.stringify({ ...said, of: lists.length }));
})();
`;
  const path = join(work, "client.cjs");
  writeFileSync(path, program);
  const said = await answerOf(["node", path], { ...variables, NODE_PATH: modules });
  expect(said).toMatchObject({
    ...{ got: said.of, made: "by-client", vars: { A: "1" }, maintenance: true, feature: false },
    ...{ collaborator: "c@example.com", left: "c@example.com", formation: 2, dyno: "run" },
    ...{ revoked: true, session: true, gone: "by-client", missing: "404 not_found" },
  });
  const formation = await app.api<{ quantity: number }>("GET", "/formation/web");
  expect(formation.quantity).toBe(2);
  const releases = await app.api<{ version: number; description: string }[]>("GET", "/releases");
  expect(releases.find(({ version }) => version === said.rollback)?.description).toBe(
    "Rollback to v3",
  );
});
