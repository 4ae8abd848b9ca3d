import { afterAll, beforeAll, expect, test } from "bun:test";
import { makeCertificate } from "../certs/make-certificate.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

/**
 * What Terraform's provider for Heroku does with each of its resources: made by the app's name, read
 * back by ids alone, changed, read again, destroyed, and gone.
 */
let served: ReturnType<typeof serveLocalPlatform>;
beforeAll(() => {
  served = serveLocalPlatform();
});
afterAll(() => served.stop());

interface Thing {
  id: string;
  name: string;
}

/** As the provider asks: `email:token`, and a range for every list. */
async function ask<T = Thing>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(served.url + path, {
    method,
    headers: {
      Accept: "application/vnd.heroku+json; version=3",
      Authorization: `Basic ${btoa(`owner@example.com:${served.token}`)}`,
      "Content-Type": "application/json",
      "User-Agent": "heroku/v5 (linux; amd64) terraform-provider-heroku",
      ...(method === "GET" && { Range: "id ..; max=1000" }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}
const refusalOf = (method: string, path: string, body?: object) =>
  ask(method, path, body).then(
    () => "it was done",
    (error: Error) => error.message,
  );
async function goneAt(path: string): Promise<void> {
  expect(await refusalOf("GET", path)).toContain(': 404 {"id":"not_found"');
}

async function makeApp(name: string): Promise<Thing> {
  const app = await ask("POST", "/apps", { name, region: "us", stack: "heroku-24" });
  const made = await ask("GET", `/apps/${app.id}`);
  // What is not as it was planned would be made anew by the next `terraform apply`.
  expect(made).toMatchObject({ region: { name: "us" }, build_stack: { name: "heroku-24" } });
  return made;
}

test("heroku_app, heroku_app_config_association: vars, and the release that they make", async () => {
  const app = await makeApp("tf-app");
  await ask("PATCH", `/apps/${app.id}/config-vars`, { A: "1", B: "2" });
  await ask("PATCH", `/apps/${app.id}/config-vars`, { B: null });
  expect(await ask<object>("GET", `/apps/${app.id}/config-vars`)).toEqual({ A: "1" });
  const releases = await ask<Thing[]>("GET", `/apps/${app.id}/releases`);
  for (const { id } of releases)
    expect(await ask<object>("GET", `/apps/${app.id}/releases/${id}`)).toMatchObject({
      ...{ id, status: "succeeded" },
    });
  await ask("PATCH", `/apps/${app.id}`, {});
  await ask("PATCH", `/apps/${app.id}`, { name: "tf-renamed", maintenance: true });
  expect(await ask("GET", `/apps/${app.id}`)).toMatchObject({ name: "tf-renamed" });
  await ask("DELETE", `/apps/${app.id}`);
  await goneAt(`/apps/${app.id}`);
});

test("heroku_formation: by type and by id, with a size as an object", async () => {
  const app = await served.platform.createApp({ name: "tf-scaled", user: served.account });
  served.deploy(app, { web: "npm start" });
  const change = { quantity: 2, dyno_size: { name: "standard-2x" } };
  const scaled = await ask("PATCH", `/apps/tf-scaled/formation/web`, change);
  expect(await ask<object>("GET", `/apps/${app.id}/formation/${scaled.id}`)).toMatchObject({
    ...{ type: "web", quantity: 2, size: "Standard-2X" },
  });
});

test("heroku_domain and heroku_ssl: a domain with a certificate of its own", async () => {
  const app = await makeApp("tf-named");
  const made = await makeCertificate(["www.tf.example"]);
  const pem = { certificate_chain: made.certificate, private_key: made.privateKey };
  const certificate = await ask("POST", `/apps/${app.id}/sni-endpoints`, pem);
  const given = `\r\n\n${made.certificate.trim().replaceAll("\n", "\r\n")}`;
  const inFile = { ...pem, certificate_chain: given };
  await ask("PATCH", `/apps/${app.id}/sni-endpoints/${certificate.id}`, inFile);
  expect(await ask("GET", `/apps/${app.id}/sni-endpoints/${certificate.id}`)).toMatchObject({
    ...{ certificate_chain: given, app: { id: app.id } },
  });
  const bare = made.privateKey.replaceAll(/-----.*-----\n/g, "");
  for (const key of [made.privateKey, bare, "# a note\n"]) {
    const withMore = { ...pem, certificate_chain: key + made.certificate };
    const path = `/apps/${app.id}/sni-endpoints/${certificate.id}`;
    const shown = await ask<{ certificate_chain: string }>("PATCH", path, withMore);
    expect(shown.certificate_chain.trim()).toBe(made.certificate.trim());
  }
  const domain = await ask("POST", `/apps/tf-named/domains`, {
    ...{ hostname: "www.tf.example", sni_endpoint: certificate.id },
  });
  expect(await ask<object>("GET", `/apps/${app.id}/domains/${domain.id}`)).toMatchObject({
    ...{ hostname: "www.tf.example", status: "succeeded", sni_endpoint: { id: certificate.id } },
  });
  expect(await ask("GET", `/apps/${app.id}/sni-endpoints/${certificate.id}`)).toMatchObject({
    name: certificate.name,
  });
  await ask("PATCH", `/apps/${app.id}/domains/${domain.id}`, { sni_endpoint: "" });
  for (const path of [`domains/${domain.id}`, `sni-endpoints/${certificate.id}`]) {
    await ask("DELETE", `/apps/${app.id}/${path}`);
    await goneAt(`/apps/${app.id}/${path}`);
  }
});

test("heroku_collaborator, heroku_app_feature, heroku_account_feature, heroku_buildpack", async () => {
  const app = await makeApp("tf-shared");
  const friend = { user: "friend@example.com", silent: true };
  const collaborator = await ask("POST", `/apps/tf-shared/collaborators`, friend);
  expect(await ask("GET", `/apps/${app.id}/collaborators/${collaborator.id}`)).toMatchObject({
    user: { email: "friend@example.com" },
  });
  await ask("DELETE", `/apps/${app.id}/collaborators/${collaborator.id}`);
  await goneAt(`/apps/${app.id}/collaborators/${collaborator.id}`);

  const on = { enabled: true };
  const feature = await ask("PATCH", `/apps/tf-shared/features/preboot`, on);
  expect(await ask("GET", `/apps/${app.id}/features/${feature.id}`)).toMatchObject(on);
  expect(await ask<Thing[]>("GET", "/account/features")).toBeArray();

  const updates = [{ buildpack: "heroku/nodejs" }, { buildpack: "https://github.com/a/b" }];
  await ask("PUT", `/apps/${app.id}/buildpack-installations`, { updates });
  expect(await ask("GET", `/apps/${app.id}/buildpack-installations`)).toMatchObject([
    { ordinal: 0, buildpack: { name: "heroku/nodejs" } },
    { ordinal: 1, buildpack: { name: "https://github.com/a/b", url: "https://github.com/a/b" } },
  ]);
});

test("heroku_app_release and heroku_slug: a slug by its id is released again", async () => {
  const app = await served.platform.createApp({ name: "tf-released", user: served.account });
  const { slugId } = served.deploy(app, { web: "npm start" });
  expect(await ask("GET", `/apps/${app.id}/slugs/${slugId}`)).toMatchObject({
    ...{ id: slugId, process_types: { web: "npm start" }, stack: { name: expect.any(String) } },
  });
  const [release] = await ask<Thing[]>("GET", `/apps/${app.id}/releases`);
  expect(await ask("GET", `/apps/tf-released/releases/${release?.id}`)).toMatchObject({
    id: release?.id,
  });
});

test("what is not here is refused before anything is made, in words that Terraform prints", async () => {
  const app = await makeApp("tf-without");
  const refused: [path: string, body: object][] = [
    [`/apps/${app.id}/addons`, { plan: "heroku-postgresql:mini" }],
    [`/apps/${app.id}/log-drains`, { url: "syslog://logs.example:514" }],
    ["/pipelines", { name: "p", owner: { id: app.id, type: "user" } }],
    ["/spaces", { name: "s", team: "t" }],
  ];
  for (const [path, body] of refused)
    expect(await refusalOf("POST", path, body)).toContain('501 {"id":"not_implemented","message":');
});
