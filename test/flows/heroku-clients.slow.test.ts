import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, hostEnvironment } from "../../src/lib/exec.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { npmPackages } from "../helpers/npm-programs.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles, repositoryRoot } from "../helpers/stator-server.ts";

setDefaultTimeout(300_000);
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
said[:again] = paths.count { |path| get.call(path)[0] == 304 && cache[path][:body] == get.call(path)[1] }
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

/** heroku-go is not to be had either; Go itself is: its client decodes as strictly as heroku-go's. */
test("Go's own client, in the ways of heroku-go", async () => {
  await ensurePrograms({ go: "golang-go" });
  const program = `package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

type app struct {
	ArchivedAt *time.Time \`json:"archived_at"\`
	BuildStack struct {
		ID   string \`json:"id"\`
		Name string \`json:"name"\`
	} \`json:"build_stack"\`
	CreatedAt   time.Time \`json:"created_at"\`
	GitURL      string    \`json:"git_url"\`
	ID          string    \`json:"id"\`
	Maintenance bool      \`json:"maintenance"\`
	Name        string    \`json:"name"\`
	Owner       struct {
		Email string \`json:"email"\`
	} \`json:"owner"\`
	ReleasedAt *time.Time \`json:"released_at"\`
	RepoSize   *int       \`json:"repo_size"\`
	SlugSize   *int       \`json:"slug_size"\`
	WebURL     *string    \`json:"web_url"\`
}

type release struct {
	AddonPlanNames []string  \`json:"addon_plan_names"\`
	CreatedAt      time.Time \`json:"created_at"\`
	Current        bool      \`json:"current"\`
	OutputStream   *string   \`json:"output_stream_url"\`
	Slug           *struct {
		ID string \`json:"id"\`
	} \`json:"slug"\`
	Version int \`json:"version"\`
}

type formation struct {
	Command  string \`json:"command"\`
	DynoSize struct {
		Name string \`json:"name"\`
	} \`json:"dyno_size"\`
	Quantity int    \`json:"quantity"\`
	Size     string \`json:"size"\`
	Type     string \`json:"type"\`
}

func ask(method, path, listRange string, body, into any) int {
	var text io.Reader
	if body != nil {
		encoded, _ := json.Marshal(body)
		text = bytes.NewReader(encoded)
	}
	request, _ := http.NewRequest(method, os.Getenv("API")+path, text)
	request.Host = os.Getenv("HOST")
	request.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Request-Id", "5f6e2a3c-0000-4000-8000-1234567890ab")
	request.Header.Set("User-Agent", "heroku/v6 (linux; amd64)")
	request.SetBasicAuth("", os.Getenv("TOKEN"))
	if listRange != "" {
		request.Header.Set("Range", listRange)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		panic(path + ": " + err.Error())
	}
	return answer.StatusCode
}

func main() {
	said := map[string]any{}
	name := os.Getenv("APP")
	var one app
	ask("GET", "/apps/"+name, "", nil, &one)
	said["app"] = one.Name
	said["byId"] = ask("GET", "/apps/"+one.ID, "", nil, &one)
	var apps []app
	ask("GET", "/apps", "name ..; max=1", nil, &apps)
	said["apps"] = len(apps)
	var releases []release
	ask("GET", "/apps/"+name+"/releases", "..; max=1,order=desc", nil, &releases)
	said["releases"] = len(releases)
	said["current"] = releases[0].Current
	var scaled formation
	size := map[string]any{"quantity": 1, "dyno_size": map[string]any{"name": "standard-1x"}}
	ask("PATCH", "/apps/"+name+"/formation/web", "", size, &scaled)
	said["size"] = scaled.Size
	var made app
	said["created"] = ask("POST", "/apps", "", map[string]any{"name": "by-go", "region": "us", "stack": one.BuildStack.Name}, &made)
	vars := map[string]*string{}
	ask("PATCH", "/apps/"+made.ID+"/config-vars", "", map[string]any{"GO": "yes", "NOT": nil}, &vars)
	said["vars"] = *vars["GO"]
	said["deleted"] = ask("DELETE", "/apps/"+made.ID, "", nil, &made)
	problem := map[string]any{}
	said["missing"] = ask("GET", "/apps/by-go", "", nil, &problem)
	said["problem"] = problem["id"]
	encoded, _ := json.Marshal(said)
	fmt.Println(string(encoded))
}
`;
  // What Go has compiled of its own library is of use the next time.
  const goCache = join(repositoryRoot, "node_modules/.cache/stator-tests/go");
  const path = join(work, "client.go");
  writeFileSync(path, program);
  const said = await answerOf([Bun.which("go") ?? "go", "run", path], {
    ...variables,
    GOCACHE: goCache,
  });
  expect(said).toMatchObject({
    ...{ app: app.name, byId: 200, apps: 1, releases: 1, current: true, size: "Standard-1X" },
    ...{ created: 201, vars: "yes", deleted: 200, missing: 404, problem: "not_found" },
  });
});
