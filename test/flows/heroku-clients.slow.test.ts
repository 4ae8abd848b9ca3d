import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, execOk, hostEnvironment } from "../../src/lib/exec.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { npmPackages } from "../helpers/npm-programs.ts";
import { pythonPackages } from "../helpers/python-packages.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles } from "../helpers/stator-server.ts";
import { testCache } from "../helpers/test-cache.ts";

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
  EMAIL: stator.credentials.email,
  APP: app.name,
};

/** Each kind of thing that can be read, with an app that has code. */
const resources = [
  ...["/apps", "/account", "/account/features", "/account/keys", "/account/app-transfers"],
  ...["/account/rate-limits", "/oauth/authorizations", "/oauth/clients", "/oauth/sessions"],
  ...["/regions", "/stacks", "/dyno-sizes", "/generations", "/users/~", "/users/~/apps"],
  ...["/addons", "/addon-attachments", "/addon-services", "/pipelines", "/teams", "/spaces"],
  `/apps/${app.name}`,
  ...[
    ...["addons", "addon-attachments", "available-stacks", "builds", "buildpack-installations"],
    ...["collaborators", "config-vars", "domains", "dynos", "features", "formation"],
    ...["formation/web", "log-drains", "releases", "releases/3", "releases/3/config-vars"],
    ...["sni-endpoints", "visitor-rules", "webhooks"],
  ].map((path) => `/apps/${app.name}/${path}`),
];

test("npm's heroku-client: every resource that is here", async () => {
  const modules = await npmPackages("heroku-client@3.1.4");
  const program = `
const Heroku = require("heroku-client");
const heroku = new Heroku({ token: process.env.TOKEN, host: process.env.API, headers: { host: process.env.HOST } });
const app = "/apps/" + process.env.APP;
(async () => {
  const said = {};
  const lists = process.env.PATHS.split(" ");
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
  const said = await answerOf(["node", path], {
    ...{ ...variables, NODE_PATH: modules, PATHS: resources.join(" ") },
  });
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

/**
 * platform-api's gem is not to be had from Debian; what it stands on is: excon asks as heroics does, with
 * a cache by entity tags and the pages of a list one after the other.
 */
test("Ruby's excon, in the ways of the gem platform-api", async () => {
  await ensurePrograms({ ruby: "ruby", "/usr/lib/ruby/vendor_ruby/excon.rb": "ruby-excon" });
  const { HOST, ...others } = variables;
  const program = `
require "excon"
require "json"
api, app, token = ENV.fetch("API"), ENV.fetch("APP"), ENV.fetch("TOKEN")
headers = { "Accept" => "application/vnd.heroku+json; version=3", "User-Agent" => "platform-api/3.9.1",
            "Host" => ENV.fetch("HOSTNAME_OF_API"), "Content-Type" => "application/json" }
client = Excon.new(api, headers: headers, user: "anyone", password: token)
cache = {}
get = lambda do |path, more = {}|
  known = cache[path]
  answer = client.get(path: path, headers: headers.merge(more).merge(known ? { "If-None-Match" => known[:tag] } : {}),
                      expects: [200, 206, 304])
  next [304, known[:body]] if answer.status == 304
  cache[path] = { tag: answer.headers["ETag"], body: JSON.parse(answer.body) } if answer.headers["ETag"] && more.empty?
  [answer.status, JSON.parse(answer.body), answer.headers]
end
said = {}
paths = ENV.fetch("PATHS").split(" ")
said[:first] = paths.count { |path| get.call(path)[0] == 200 }
# A minute may have gone by, and with it a time of last use; that of the quota changes each time.
said[:again] = paths.count do |path|
  got = get.call(path)
  got = get.call(path) if got[0] == 200
  got[0] == 304 && cache[path][:body] == got[1]
end
pages, range = [], "version ..; max=1"
while range
  status, body, answer = get.call("/apps/" + app + "/releases", { "Range" => range })
  pages += body
  range = status == 206 ? answer["Next-Range"] : nil
end
said[:pages] = pages.map { |one| one["version"] }
post = lambda do |method, path, body|
  answer = client.request(method: method, path: path, body: JSON.generate(body), expects: [200, 201])
  JSON.parse(answer.body)
end
said[:formation] = post.call(:patch, "/apps/" + app + "/formation", { updates: [{ type: "web", quantity: 1 }] })[0]["quantity"]
said[:vars] = post.call(:patch, "/apps/" + app + "/config-vars", { RUBY: "yes" })["RUBY"]
url = post.call(:post, "/apps/" + app + "/log-sessions", { lines: 3 })["logplex_url"]
log = Excon.get(api + URI(url).path, headers: { "Host" => headers["Host"] })
said[:log] = [log.status, log.headers["Content-Type"], log.body.lines.size]
bearer = Excon.new(api, headers: headers.merge("Authorization" => "Bearer " + token))
said[:bearer] = JSON.parse(bearer.get(path: "/account").body)["email"]
begin
  client.get(path: "/apps/nobody-has-it", expects: [200])
rescue Excon::Error::NotFound => error
  said[:missing] = JSON.parse(error.response.body)["id"]
end
puts JSON.generate(said)
`;
  const path = join(work, "client.rb");
  writeFileSync(path, program);
  const said = await answerOf(["ruby", path], {
    ...others,
    HOSTNAME_OF_API: HOST,
    PATHS: resources.join(" "),
  });
  expect(said).toMatchObject({
    // What is left of the hour's requests is another each time.
    ...{ first: resources.length, again: resources.length - 1, formation: 1, vars: "yes" },
    ...{ log: [200, "text/plain; charset=utf-8", 3], missing: "not_found" },
    bearer: stator.credentials.email,
  });
  const versions = said.pages as number[];
  expect(versions).toEqual(versions.map((_, index) => index + 1));
});

/** The ids of what the app has, for those who ask by them. */
async function idsOfThings() {
  const idOf = async (path: string) => {
    const [first] = await stator.api<{ id: string }[]>("GET", path);
    return first?.id ?? "";
  };
  const release = await app.api<{ slug: { id: string } }>("GET", "/releases/3");
  return {
    accountFeature: await idOf("/account/features"),
    authorization: await idOf("/oauth/authorizations"),
    build: await idOf(`/apps/${app.name}/builds`),
    domain: await idOf(`/apps/${app.name}/domains`),
    slug: release.slug.id,
    stack: await idOf("/stacks"),
  };
}

/** Builds heroku-go/main.go, whose modules' checksums stand beside it, with what Go has compiled before. */
async function herokuGo(): Promise<string> {
  await ensurePrograms({ go: "golang-go" });
  const program = join(work, "heroku-go");
  await execOk(["go", "build", "-o", program, "."], {
    cwd: join(import.meta.dir, "heroku-go"),
    env: { ...process.env, GOCACHE: join(testCache, "go") },
  });
  return program;
}

/** heroku-go decodes strictly: a number where it expects a text is an error. Terraform's provider uses its v5. */
test("heroku-go v5 and v6: every resource that is here", async () => {
  const program = await herokuGo();
  const account = stator.credentials.email;
  const ids = await idsOfThings();
  const of = app.name;
  const reads = [
    ...["AccountInfo", "AccountFeatureList", "AddOnList", "AddOnAttachmentList", "AppList"],
    ...["AddOnServiceList", "AppTransferList", "DynoSizeList", "KeyList"],
    ...["OAuthAuthorizationList", "OAuthClientList", "PipelineList", "PipelineCouplingList"],
    ...["RateLimitInfo", "RegionList", "SpaceList", "StackList", "TeamList"],
    ...["EnterpriseAccountList", "InvoiceList", "CreditList"],
  ].map((method) => [method]);
  const ofApp = [
    ...["AppInfo", "AddOnListByApp", "AddOnAttachmentListByApp", "AppFeatureList", "BuildList"],
    ...["AppWebhookList", "BuildpackInstallationList", "CollaboratorList", "ConfigVarInfoForApp"],
    ...["DomainList", "DynoList", "FormationList", "LogDrainList", "ReleaseList"],
    ...["SniEndpointList"],
  ].map((method) => [method, of]);
  const single = [
    ["AccountInfoByUser", account],
    ["AccountFeatureInfo", ids.accountFeature],
    ["AddOnListByUser", account],
    ["AppFeatureInfo", of, "preboot"],
    ["BuildInfo", of, ids.build],
    ["CollaboratorInfo", of, account],
    ["ConfigVarInfoForAppRelease", of, "2"],
    ["DomainInfo", of, ids.domain],
    ["DynoInfo", of, "web.1"],
    ["DynoSizeInfo", "standard-1X"],
    ["FormationInfo", of, "web"],
    ["OAuthAuthorizationInfo", ids.authorization],
    ["RegionInfo", "us"],
    ["ReleaseInfo", of, "2"],
    ["SlugInfo", of, ids.slug],
    ["StackInfo", ids.stack],
  ];
  const calls = [...reads, ...ofApp, ...single];
  const newer = [["GenerationList"], ["GenerationInfo", "cedar"], ["StackListByApp", of]];
  const said = await answerOf([program, "read"], {
    ...{ ...variables, CALLS: JSON.stringify(calls), NEWER: JSON.stringify(newer) },
  });
  const fine = (of: string[][]) => Object.fromEntries(of.map(([method]) => [method, "ok"]));
  expect(said).toEqual({ v5: fine(calls), v6: fine([...calls, ...newer]) });
});

test("heroku-go: an app made, built from a source, released by a slug, scaled, rolled back and destroyed", async () => {
  const program = await herokuGo();
  const source = join(work, "source.tgz");
  await execOk(["tar", "-C", app.folder, "--exclude=.git", "-czf", source, "."]);
  const slug = join(work, "slug.tgz");
  await execOk([
    "tar",
    "-C",
    app.folder,
    "--exclude=.git",
    "--transform=s,^[.],./app,",
    "-czf",
    slug,
    ".",
  ]);
  const said = await answerOf([program, "change"], { ...variables, SOURCE: source, SLUG: slug });
  expect(said).toEqual({
    ...{ made: "by-go us heroku-24", maintenance: true, vars: { A: "1", C: "3" } },
    warned: "The stack heroku-24 has not been added to this server; the app is for host.",
    ...{ build: "succeeded", builtFrom: "abc123", released: true, bySlug: true },
    ...{ clock: "sleep 1000", scaled: 1, asked: "dynos 2", run: "run", latest: true },
    ...{ rollback: "Rollback to v5", domain: "go.example.com", left: "go@example.com" },
    ...{ preboot: false, buildpack: "heroku/nodejs", revoked: true, log: true },
    ...{ gone: "by-go", refused: expect.stringMatching(/^404 not_found Couldn't find that app/) },
  });
});

test("Python's heroku3", async () => {
  const needed = ["requests==2.32.3", "urllib3==2.5.0", "idna==3.10", "certifi==2025.8.3"];
  const other = ["charset-normalizer==3.4.3", "python-dateutil==2.9.0.post0", "six==1.17.0"];
  const modules = await pythonPackages("heroku3==5.2.1", ...needed, ...other);
  const program = `
import json, os, requests, heroku3, heroku3.api
heroku3.api.HEROKU_URL = os.environ["API"]
session = requests.Session()
session.headers["Host"] = os.environ["HOST"]
heroku = heroku3.from_key(os.environ["TOKEN"], session=session)
said = {"known": heroku.is_authenticated, "account": heroku.account().email}
app = heroku.apps()[os.environ["APP"]]
said["read"] = [len(list(read())) for read in (app.builds, app.collaborators, app.domains, app.dynos,
  app.process_formation, app.buildpacks, app.sni_endpoints, app.addons, app.logdrains, app.features)]
said["releases"] = [release.version for release in app.releases(order_by="version", limit=2, sort="asc")]
config = app.config()
config["PYTHON"] = "yes"
said["var"] = app.config()["PYTHON"]
del config["PYTHON"]
said["left"] = "PYTHON" in app.config()
said["scaled"] = app.process_formation()["web"].scale(1).quantity
run = app.run_command_detached("sleep 100", env={"X": "1"})
said["run"] = run.type
app.kill_dyno(run.name)
made = heroku.create_app(name="by-python", stack_id_or_name=None, region_id_or_name="us")
said["maintenance"] = made.enable_maintenance_mode().maintenance
said["served"] = made.disable_maintenance_mode().maintenance
said["preboot"] = made.disable_feature("preboot").enabled
made.update_buildpacks(["heroku/nodejs", "https://github.com/someone/buildpack"])
said["buildpacks"] = len(made.buildpacks())
said["renamed"] = made.update(name="by-heroku3").name
said["gone"] = heroku.app("by-heroku3").delete()
try:
  heroku.app("by-heroku3")
except requests.HTTPError as error:
  said["missing"] = error.response.status_code
print(json.dumps(said))
`;
  const path = join(work, "client.py");
  writeFileSync(path, program);
  const said = await answerOf(["python3", path], { ...variables, PYTHONPATH: modules });
  expect(said).toEqual({
    ...{ known: true, account: stator.credentials.email, read: [1, 1, 1, 1, 1, 1, 0, 0, 0, 3] },
    ...{ releases: [1, 2], var: "yes", left: false, scaled: 1, run: "run", maintenance: true },
    ...{ served: false, preboot: false, buildpacks: 2, renamed: "by-heroku3", gone: true },
    missing: 404,
  });
});
