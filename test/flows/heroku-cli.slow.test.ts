import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { makeCertificate } from "../certs/make-certificate.ts";
import { herokuStory } from "../helpers/heroku-cli.ts";
import { packageJson, probeFiles, until } from "../helpers/stator-server.ts";

/**
 * Heroku's own command line, as npm has it, against a real server: each command is held by what the
 * API says afterwards. Apps named here have code; the other tests make empty ones of their own.
 */
const procfile = "web: node server.js 1\nworker: sleep 1000\n";
const story = await herokuStory({
  version: "11.10.0",
  apps: {
    shop: probeFiles("1", { Procfile: procfile }),
    past: { "package.json": packageJson(), Procfile: "worker: sleep 1000\n" },
    gitted: probeFiles("1"),
    phased: { "package.json": packageJson(), Procfile: "release: echo prepared\n" },
  },
  // Nobody is there: what is asked of it stays to be done.
  variables: { STATOR_ACME_DIRECTORY: "https://127.0.0.1:9/directory" },
});
const { heroku, refused, api, person } = story;
const started = performance.now();
afterAll(() =>
  process.stdout.write(
    `${story.count()} lines of heroku in ${Math.round((performance.now() - started) / 1000)} s\n`,
  ),
);

interface App {
  id: string;
  name: string;
  maintenance: boolean;
  owner: { email: string };
}
const owner = story.stator.credentials.email;
const makeApp = (name: string) => api<App>("POST", "/apps", { name });
const visitApp = (name: string) =>
  fetch(`http://127.0.0.1:${story.stator.port}/`, {
    headers: { Host: `${name}.${story.domain}` },
  });
const statusOf = (path: string) =>
  api<unknown>("GET", path).then(
    () => 200,
    (error: Error) => Number(/: (\d{3}) /.exec(error.message)?.[1]),
  );

test.concurrent("account: whoami, token, teams, regions, the status of things", async () => {
  expect(await heroku`whoami`).toBe(`${owner}\n`);
  expect(await heroku`auth:token`).toContain(story.stator.credentials.token);
  expect(await heroku`regions`).toContain("This machine");
  expect(JSON.parse(await heroku`regions --json`)).toEqual(await api("GET", "/regions"));
  expect(await heroku`teams`).toContain("Team   Role");
  expect(await heroku`auth:2fa`).toContain("not enabled");
});

test.concurrent("apps: create, list, show, rename, join stacks, destroy", async () => {
  expect(await heroku`create first-one`).toContain(
    `https://git.${story.domain}:${story.httpsPort}/first-one.git`,
  );
  expect((await api<App>("GET", "/apps/first-one")).owner.email).toBe(owner);
  const made = JSON.parse(await heroku`apps:create --json`) as App;
  expect(await api("GET", `/apps/${made.name}`)).toMatchObject({ id: made.id });
  expect(await refused`apps:create first-one`).toContain("Name first-one is already taken");
  expect(await heroku`apps`).toContain("first-one");
  const listed = JSON.parse(await heroku`apps --json`) as App[];
  expect(listed.map(({ name }) => name)).toContain(made.name);
  expect(await heroku`apps:info first-one`).toMatch(/=== first-one[^]*Owner: +.*@/);
  expect(await heroku`apps:info first-one --shell`).toContain(`owner=${owner}\n`);
  expect(JSON.parse(await heroku`apps:info first-one --json`)).toMatchObject({
    app: { name: "first-one" },
  });
  await heroku`apps:rename second-one -a first-one`;
  expect([await statusOf("/apps/first-one"), await statusOf("/apps/second-one")]).toEqual([
    404, 200,
  ]);
  expect(await refused`apps:info nobody-has-it`).toContain("Couldn't find that app");
  expect(await heroku`apps:stacks -a second-one`).toContain("* host");
  const buildStack = async () =>
    (await api<{ build_stack: { name: string } }>("GET", "/apps/second-one")).build_stack.name;
  await heroku`apps:stacks:set container -a second-one`;
  expect(await buildStack()).toBe("container");
  await heroku`apps:stacks:set heroku-24 -a second-one`;
  expect(await buildStack()).toBe("heroku-24");
  expect(await refused`apps:destroy second-one --confirm other`).toContain("did not match");
  await heroku`apps:destroy second-one --confirm second-one`;
  expect(await statusOf("/apps/second-one")).toBe(404);
});

test.concurrent("config: one release a change, whatever the value is", async () => {
  await makeApp("vars");
  const vars = () => api<Record<string, string>>("GET", "/apps/vars/config-vars");
  const odd = "two words = $HOME 'q' \"d\" é\nsecond line";
  await heroku`config:set A=1 B=2 ${`ODD=${odd}`} -a vars`;
  expect(await vars()).toEqual({ A: "1", B: "2", ODD: odd });
  expect(await heroku`config -a vars`).toContain("A:   1");
  expect(JSON.parse(await heroku`config --json -a vars`)).toEqual(await vars());
  expect(await heroku`config --shell -a vars`).toContain("B=2\n");
  expect(await heroku`config:get B -a vars`).toBe("2\n");
  await heroku`config:unset A B -a vars`;
  expect(await vars()).toEqual({ ODD: odd });
  const releases = await api<unknown[]>("GET", "/apps/vars/releases");
  expect(releases).toHaveLength(4);
  const editor = join(person.cwd, "editor");
  writeFileSync(editor, "#!/bin/sh\nprintf 'EDITED=yes\\n' >\"$1\"\n", { mode: 0o700 });
  const edited = await story.ended(
    person.start(["heroku", "config:edit", "-a", "vars"], {
      input: "y\n",
      variables: { EDITOR: editor, VISUAL: editor },
    }),
  );
  expect(edited.status).toBe(0);
  expect(await vars()).toEqual({ EDITED: "yes" });
});

test.concurrent(
  "access: collaborators come and go; a transfer is asked for and accepted",
  async () => {
    await makeApp("shared");
    const people = async () =>
      (await api<{ user: { email: string } }[]>("GET", "/apps/shared/collaborators")).map(
        ({ user }) => user.email,
      );
    await heroku`access:add friend@example.com -a shared`;
    expect((await people()).toSorted()).toEqual([owner, "friend@example.com"].toSorted());
    expect(await heroku`access -a shared`).toMatch(/friend@example\.com +collaborator/);
    expect(JSON.parse(await heroku`access --json -a shared`)).toHaveLength(2);
    await heroku`apps:transfer friend@example.com -a shared`;
    const transfers = await api<{ recipient: { email: string }; state: string }[]>(
      "GET",
      "/account/app-transfers",
    );
    expect(transfers).toMatchObject([
      { recipient: { email: "friend@example.com" }, state: "pending" },
    ]);
    await heroku`access:remove friend@example.com -a shared`;
    expect(await people()).toEqual([owner]);
    expect(await refused`access:remove friend@example.com -a shared`).toContain("collaborator");
  },
);

test.concurrent("keys: added from a file, listed, removed, cleared", async () => {
  const makeKey = async (comment: string) => {
    const path = join(person.cwd, comment);
    await exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]);
    return `${path}.pub`;
  };
  const keys = async () =>
    (await api<{ comment: string }[]>("GET", "/account/keys")).map(({ comment }) => comment);
  await heroku`keys:add ${await makeKey("one@machine")}`;
  await heroku`keys:add ${await makeKey("two@machine")}`;
  expect((await keys()).toSorted()).toEqual(["one@machine", "two@machine"]);
  expect(await heroku`keys`).toContain("two@machine");
  expect(JSON.parse(await heroku`keys --json`)).toHaveLength(2);
  await heroku`keys:remove one@machine`;
  expect(await keys()).toEqual(["two@machine"]);
  await heroku`keys:clear`;
  expect(await keys()).toEqual([]);
});

test.concurrent("authorizations: made, shown, changed, rotated, revoked", async () => {
  interface Authorization {
    id: string;
    description: string;
    access_token: { token: string };
  }
  const tokenOf = async (id: string) =>
    (await api<Authorization>("GET", `/oauth/authorizations/${id}`)).description;
  const made = JSON.parse(
    await heroku`authorizations:create --json -d ${"for the tests"} -s read -e 3600`,
  ) as Authorization;
  expect(await tokenOf(made.id)).toBe("for the tests");
  const asReader = (path: string, init?: RequestInit) =>
    story.ask(made.access_token.token, path, init);
  expect((await asReader("/apps")).status).toBe(200);
  expect((await asReader("/apps", { method: "POST" })).status).toBe(403);
  expect(await heroku`authorizations`).toContain("for the tests");
  expect(await heroku`authorizations:info ${made.id}`).toMatch(/Scope: +read\n/);
  await heroku`authorizations:update ${made.id} -d renamed`;
  expect(await tokenOf(made.id)).toBe("renamed");
  const rotated = await heroku`authorizations:rotate ${made.id}`;
  const [token = ""] = /STTR-[\w-]{43}/.exec(rotated) ?? [];
  expect((await asReader("/apps")).status).toBe(401);
  expect((await story.ask(token, "/apps")).status).toBe(200);
  await heroku`authorizations:revoke ${made.id}`;
  expect((await story.ask(token, "/apps")).status).toBe(401);
  expect(await statusOf(`/oauth/authorizations/${made.id}`)).toBe(404);
  expect(JSON.parse(await heroku`authorizations --json`)).toBeArray();
});

test.concurrent("clients: made, shown, changed, rotated, destroyed", async () => {
  interface Client {
    id: string;
    name: string;
    secret: string;
    redirect_uri: string;
  }
  const made = JSON.parse(
    await heroku`clients:create --json my-client https://client.example/callback`,
  ) as Client;
  const now = () => api<Client>("GET", `/oauth/clients/${made.id}`);
  expect(await now()).toMatchObject({ name: "my-client" });
  expect(await heroku`clients`).toContain("my-client");
  expect(await heroku`clients:info ${made.id}`).toContain("https://client.example/callback");
  await heroku`clients:update ${made.id} --name other-name`;
  expect(await now()).toMatchObject({ name: "other-name" });
  const rotated = JSON.parse(await heroku`clients:rotate --json ${made.id}`) as Client;
  expect(rotated.secret).not.toBe(made.secret);
  const { grant } = await api<{ grant: { code: string } }>("POST", "/oauth/authorizations", {
    client: made.id,
  });
  const exchange = (secret: string) =>
    story.ask(story.stator.credentials.token, "/oauth/tokens", {
      method: "POST",
      body: JSON.stringify({
        client: { secret },
        grant: { type: "authorization_code", code: grant.code },
      }),
    });
  expect((await exchange(made.secret)).status).toBe(401);
  expect((await exchange(rotated.secret)).status).toBe(201);
  await heroku`clients:destroy ${made.id}`;
  expect(await statusOf(`/oauth/clients/${made.id}`)).toBe(404);
});

test.concurrent("features and labs: shown, turned on and off", async () => {
  await makeApp("odd");
  const isOn = async (name: string) =>
    (await api<{ enabled: boolean }>("GET", `/apps/odd/features/${name}`)).enabled;
  expect(await heroku`features -a odd`).toContain("http-session-affinity");
  await heroku`features:enable http-session-affinity -a odd`;
  expect(await isOn("http-session-affinity")).toBe(true);
  expect(await heroku`features:info http-session-affinity -a odd`).toContain("true");
  await heroku`features:disable http-session-affinity -a odd`;
  expect(await isOn("http-session-affinity")).toBe(false);
  expect(await heroku`labs -a odd`).toContain("runtime-dyno-metadata");
  await heroku`labs:enable runtime-dyno-metadata -a odd`;
  expect(await isOn("runtime-dyno-metadata")).toBe(true);
  expect(await heroku`labs:info runtime-dyno-metadata -a odd`).toContain("HEROKU_APP_NAME");
  await heroku`labs:disable runtime-dyno-metadata -a odd`;
  expect(await isOn("runtime-dyno-metadata")).toBe(false);
  expect(await refused`features:enable nonsense -a odd`).toContain("nonsense");
});

test.concurrent("releases: listed, shown, rolled back", async () => {
  const newest = async () =>
    (
      await api<{ version: number; description: string; slug: { id: string } | null }[]>(
        "GET",
        "/apps/past/releases",
      )
    ).reduce((one, other) => (one.version > other.version ? one : other));
  await heroku`config:set WHEN=now -a past`;
  expect(await heroku`releases -a past`).toMatch(/Current: v4[^]*v4 +Set WHEN config vars/);
  expect(JSON.parse(await heroku`releases --json -n 2 -a past`)).toHaveLength(2);
  expect(await heroku`releases:info -a past`).toContain("WHEN: now");
  expect(await heroku`releases:info v3 --json -a past`).toContain('"version": 3');
  await heroku`rollback v3 -a past`;
  expect(await newest()).toMatchObject({ version: 5, description: "Rollback to v3" });
  expect(await api<object>("GET", "/apps/past/config-vars")).not.toHaveProperty("WHEN");
  await heroku`releases:rollback -a past`;
  // From v5 to the one before it, with its config vars.
  expect(await newest()).toMatchObject({ version: 6, description: "Rollback to v4" });
  expect(await api("GET", "/apps/past/config-vars")).toMatchObject({ WHEN: "now" });
  expect(await refused`rollback v1 -a past`).toContain("v1");
});

test.concurrent("ps and maintenance: scaled, sized, restarted, stopped, waited for", async () => {
  type Dyno = { name: string; id: string; size: string; type: string };
  const dynos = () => api<Dyno[]>("GET", "/apps/shop/dynos");
  const names = async () => (await dynos()).map(({ name }) => name).toSorted();
  const idOf = async (name: string) => (await dynos()).find((dyno) => dyno.name === name)?.id;
  expect(await heroku`ps -a shop`).toMatch(/=== web \(Basic\): node server\.js 1 \(1\)/);
  expect(JSON.parse(await heroku`ps --json -a shop`)).toMatchObject([{ name: "web.1" }]);
  expect(await heroku`ps:scale -a shop`).toContain("web=1:Basic worker=0:Basic");
  await heroku`ps:scale worker=1 -a shop`;
  await heroku`ps:scale worker+1 -a shop`;
  await until("two workers", async () => (await names()).length === 3);
  expect(await heroku`ps worker -a shop`).toContain("worker.2: ");
  expect(await heroku`ps:type worker=standard-2x -a shop`).toMatch(/worker +Standard-2X +2/);
  expect(await api("GET", "/apps/shop/formation/worker")).toMatchObject({ size: "Standard-2X" });
  expect(await heroku`ps:type -a shop`).toMatch(/Standard-2X +2/);
  await heroku`ps:wait -a shop`;
  const workers = (await dynos()).filter(({ type }) => type === "worker");
  expect(workers.map(({ size }) => size)).toEqual(["Standard-2X", "Standard-2X"]);
  const [before, other] = [await idOf("worker.1"), await idOf("worker.2")];
  await heroku`ps:restart --dyno-name worker.1 -a shop`;
  await until("worker.1 is another", async () => {
    const now = await idOf("worker.1");
    return now !== undefined && now !== before;
  });
  expect(await idOf("worker.2")).toBe(other);
  const stopped = await Promise.all(["worker.1", "worker.2"].map(idOf));
  const web = await idOf("web.1");
  await heroku`ps:stop --process-type worker -a shop`;
  await until("both workers are others", async () => {
    const now = await Promise.all(["worker.1", "worker.2"].map(idOf));
    return now.every((id) => id !== undefined && !stopped.includes(id));
  });
  expect(await idOf("web.1")).toBe(web);
  await heroku`ps:scale worker=0 -a shop`;
  await until("only web.1 is there", async () => (await names()).join() === "web.1");
  const first = await idOf("web.1");
  await heroku`restart -a shop`;
  await until("web.1 is another", async () => (await idOf("web.1")) !== first);

  const visit = async () => (await visitApp("shop")).status;
  await until("web.1 answers", async () => (await visit()) === 200);
  await heroku`maintenance:on -a shop`;
  expect(await visit()).toBe(503);
  expect((await api<App>("GET", "/apps/shop")).maintenance).toBe(true);
  expect(await heroku`maintenance -a shop`).toBe("on\n");
  await heroku`maintenance:off -a shop`;
  expect(await visit()).toBe(200);
  expect((await api<App>("GET", "/apps/shop")).maintenance).toBe(false);
});

test.concurrent("releases:retry runs the release command of the newest release again", async () => {
  const said = await heroku`releases:retry -a phased`;
  expect(said).toContain("Running release command...");
  expect(said).toContain("prepared");
  const newest = await api<{ description: string; status: string }>(
    "GET",
    "/apps/phased/releases/4",
  );
  expect(newest.description).toMatch(/^Retry of v3: Deploy [0-9a-f]{8}$/);
  await until(
    "it has succeeded",
    async () =>
      (await api<{ status: string }>("GET", "/apps/phased/releases/4")).status === "succeeded",
  );
  expect(await heroku`releases:output v4 -a phased`).toContain("prepared");
  const ours = await story.ended(person.start(["releases:retry", "-a", "phased"]));
  expect(ours).toMatchObject({ status: 0, out: "Running release command...\nprepared\n" });
  expect(await api("GET", "/apps/phased/releases/5")).toMatchObject({ status: "succeeded" });
  expect(await refused`releases:retry -a past`).toContain("must have a release-phase command");
});

test.concurrent(
  "buildpacks: set, added, searched, removed, cleared, by name and by address",
  async () => {
    await makeApp("packed");
    const names = async () =>
      (
        await api<{ buildpack: { name: string } }[]>("GET", "/apps/packed/buildpack-installations")
      ).map(({ buildpack }) => buildpack.name);
    const [address, other] = ["https://github.com/someone/one", "https://github.com/someone/other"];
    expect(await heroku`buildpacks -a packed`).toContain("has no Buildpacks");
    expect(await heroku`buildpacks:set heroku/nodejs -a packed`).toContain("heroku/nodejs");
    expect(await names()).toEqual(["heroku/nodejs"]);
    await heroku`buildpacks:add ${address} -a packed`;
    await heroku`buildpacks:add -i 1 heroku/python -a packed`;
    expect(await names()).toEqual(["heroku/python", "heroku/nodejs", address]);
    expect(await heroku`buildpacks -a packed`).toMatch(/1\. heroku\/python[^]*3\. https/);
    await heroku`buildpacks:set -i 3 ${other} -a packed`;
    expect(await names()).toEqual(["heroku/python", "heroku/nodejs", other]);
    expect(await refused`buildpacks:add heroku/python -a packed`).toContain("already set");
    await heroku`buildpacks:remove heroku/python -a packed`;
    await heroku`buildpacks:remove -i 2 -a packed`;
    expect(await names()).toEqual(["heroku/nodejs"]);
    await heroku`buildpacks:clear -a packed`;
    expect(await names()).toEqual([]);
    expect(await heroku`buildpacks:search python`).toMatch(/heroku\/python[^]*1 buildpack found/);
    expect(await heroku`buildpacks:search`).toMatch(/heroku\/static[^]*9 buildpacks found/);
    expect(await heroku`buildpacks:info heroku/go`).toContain("Go: ");
    expect(await heroku`buildpacks:versions heroku/go`).toContain("published");
    expect(await refused`buildpacks:versions nobody/nothing`).toContain("Could not find");
  },
);

test.concurrent("domains: added, shown, waited for, removed, cleared", async () => {
  await makeApp("named");
  const hostnames = async () =>
    (await api<{ hostname: string }[]>("GET", "/apps/named/domains")).map((one) => one.hostname);
  const own = `named.${story.domain}`;
  const [first, second] = ["www.named.example", "shop.named.example"];
  expect(await heroku`domains:add ${first} -a named`).toContain(own);
  await heroku`domains:add ${second} --wait -a named`;
  expect((await hostnames()).toSorted()).toEqual([own, first, second].toSorted());
  expect(await heroku`domains -a named`).toContain(first);
  expect(JSON.parse(await heroku`domains --json -a named`)).toHaveLength(3);
  expect(await heroku`domains:info ${first} -a named`).toContain("succeeded");
  await heroku`domains:wait ${first} -a named`;
  expect(await refused`domains:add ${first} -a named`).toContain(first);
  await heroku`domains:remove ${first} -a named`;
  expect(await hostnames()).not.toContain(first);
  expect(await refused`domains:info ${first} -a named`).toContain("Couldn't find that domain");
  await heroku`domains:clear -a named`;
  expect(await hostnames()).toEqual([own]);
});

test.concurrent(
  "certs: made, added, shown, given to a domain, replaced, removed, automatic",
  async () => {
    await makeApp("secured");
    const host = "www.secured.example";
    interface Endpoint {
      name: string;
      ssl_cert: { expires_at: string; cert_domains: string[] };
    }
    const endpoints = () => api<Endpoint[]>("GET", "/apps/secured/sni-endpoints");
    const domain = () =>
      api<{ sni_endpoint: { name: string } | null }>("GET", `/apps/secured/domains/${host}`);
    const isAutomatic = async () => (await api<{ acm: boolean }>("GET", "/apps/secured")).acm;

    await heroku`certs:generate request.example --now --keysize 2048 -a secured`;
    const request = readFileSync(join(person.cwd, "request.example.csr"), "utf8");
    expect(request).toStartWith("-----BEGIN CERTIFICATE REQUEST-----");

    const write = async (file: string, days: number) => {
      const made = await makeCertificate([host], { days });
      const paths = [join(person.cwd, `${file}.crt`), join(person.cwd, `${file}.key`)] as const;
      writeFileSync(paths[0], made.certificate);
      writeFileSync(paths[1], made.privateKey);
      return paths;
    };
    const [certificate, key] = await write("one", 30);
    expect(await heroku`certs:add ${certificate} ${key} -a secured`).toContain(host);
    const [added] = await endpoints();
    const name = added?.name ?? "";
    expect(added?.ssl_cert.cert_domains).toEqual([host]);
    await heroku`domains:add ${host} --cert ${name} -a secured`;
    expect((await domain()).sni_endpoint?.name).toBe(name);
    expect(await heroku`certs -a secured`).toContain(host);
    expect(await heroku`certs:info -a secured`).toContain(`Common Name(s): ${host}`);
    expect(await heroku`certs:info --name ${name} --show-domains -a secured`).toContain(host);
    const [newer, newerKey] = await write("two", 60);
    await heroku`certs:update ${newer} ${newerKey} --confirm secured -a secured`;
    const [updated] = await endpoints();
    expect(updated?.name).toBe(name);
    expect(Date.parse(updated?.ssl_cert.expires_at ?? "")).toBeGreaterThan(
      Date.parse(added?.ssl_cert.expires_at ?? "") + 29 * 86_400_000,
    );
    expect(await refused`certs:add ${certificate} ${newerKey} -a secured`).toContain("key");

    const [third, thirdKey] = await write("three", 30);
    await api("POST", "/apps/secured/sni-endpoints", {
      certificate_chain: readFileSync(third, "utf8"),
      private_key: readFileSync(thirdKey, "utf8"),
    });
    const other = (await endpoints()).find((one) => one.name !== name)?.name ?? "";
    await heroku`domains:update ${host} --cert ${other} -a secured`;
    expect((await domain()).sni_endpoint?.name).toBe(other);
    await heroku`certs:remove --name ${name} --confirm secured -a secured`;
    expect((await endpoints()).map((one) => one.name)).toEqual([other]);

    expect(await heroku`certs:auto -a secured`).toContain("enabled");
    await heroku`certs:auto:disable --confirm secured -a secured`;
    expect(await isAutomatic()).toBe(false);
    expect(await heroku`certs:auto -a secured`).toContain("disabled");
    await heroku`certs:auto:enable -a secured`;
    expect(await isAutomatic()).toBe(true);
    await heroku`certs:auto:refresh -a secured`;
  },
);

test.concurrent("what is not here yet lists empty, or says so kindly", async () => {
  expect(await heroku`addons -a past`).toContain("No add-ons");
  expect(await heroku`drains -a past`).toBeString();
  expect(await heroku`pipelines`).toBe("=== My Pipelines\n\n");
  expect(await heroku`webhooks -a past`).toContain("no webhooks");
  expect(await refused`drains:add syslog://logs.example:514 -a past`).toContain(
    "This platform has no log drains",
  );
  expect(await refused`addons:create heroku-postgresql -a past`).toContain("add-on");
  expect(await heroku`orgs`).toBeString();
  expect(await refused`spaces`).toContain("You do not have access to any spaces");
  expect(await heroku`redis -a past`).toBeString();
  expect(await heroku`pg -a past`).toContain("no heroku-postgresql databases");
  expect(await heroku`sessions`).toBeString();
  expect(await refused`pipelines:create mine -s production -a past`).toContain("pipeline");
  expect(
    await refused`webhooks:add -i api:release -l notify -u https://x.example -a past`,
  ).toContain("webhook");
});

test.concurrent(
  "git: the remote, a clone, and a push by its credential helper, which builds and serves a release",
  async () => {
    const folder = join(person.cwd, "cloned");
    await heroku`git:clone ${folder} -a gitted`;
    expect(readFileSync(join(folder, "Procfile"), "utf8")).toBe("web: node server.js 1\n");
    await person.git("init", "-q");
    expect(await heroku`git:remote -a past -r other`).toContain("set git remote other");
    expect(await person.git("remote", "get-url", "other")).toBe(
      `https://git.${story.domain}:${story.httpsPort}/past.git\n`,
    );
    const releases = async () =>
      (await api<{ version: number; status: string }[]>("GET", "/apps/gitted/releases")).length;
    const answer = async () => (await visitApp("gitted")).text();
    expect(await answer()).toBe("version 1");
    const before = await releases();
    const script = `
set -eu
eval "$(stator env)"
cd "$1"
git config --global --get-urlmatch credential.helper "https://$HEROKU_GIT_HOST"
echo "web: node server.js 2" >Procfile
git commit -qam second
git push heroku HEAD:refs/heads/main
`;
    const child = person.startOther(["bash", "-c", script, "bash", folder]);
    const { out, err, status } = await story.ended(child);
    expect(`${status} ${err}`).toStartWith("0 ");
    expect(out).toContain("!heroku git:credentials");
    expect(err).toMatch(/remote: -----> Launching\.\.\.[^]*remote: Verifying deploy\.+ done\./);
    expect(await releases()).toBe(before + 1);
    expect(await answer()).toBe("version 2");
  },
);

test("over all of it Heroku's hosts heard nothing, and the person's login there stays as it was", async () => {
  expect(story.count()).toBeGreaterThanOrEqual(140);
  expect(story.heard).toEqual([]);
  const { netrc, gitconfig, before } = story.logins();
  expect(netrc).toBe(before.netrc);
  expect(gitconfig).toStartWith(before.gitconfig);
  expect(existsSync(join(person.home, ".config/stator/config.json"))).toBe(false);
  // Those who would reach them are refused on this machine, and say so.
  for (const line of ["notifications", "apps:favorites"])
    expect((await story.run([line])).status).not.toBe(0);
  expect(story.heard).toEqual([]);
  // Without the guard one of them does: what is heard here is what is sent.
  const open = person.startOther([
    "bash",
    "-c",
    'eval "$(stator env)"; unset NODE_OPTIONS HTTP_PROXY HTTPS_PROXY; heroku notifications',
  ]);
  await story.ended(open);
  expect(story.heard.length).toBeGreaterThan(0);
});
