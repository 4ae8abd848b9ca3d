import { afterAll, beforeAll, expect, test } from "bun:test";
import type { App } from "../../src/model/app.ts";
import { createBuild, updateBuild } from "../../src/model/build.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let app: App;
beforeAll(async () => {
  served = serveLocalPlatform();
  app = await served.platform.createApp({ name: "shop", user: served.account });
});
afterAll(() => served.stop());

const uuid = expect.stringMatching(
  /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
);
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const json = async (path: string, init?: RequestInit) => (await served.ask(path, init)).json();
const send = (method: string, path: string, body: unknown) =>
  served.ask(path, { method, body: JSON.stringify(body) });

test("an app is created, found by name and id, renamed, put in maintenance, destroyed", async () => {
  const created = await send("POST", "/apps", { name: "first" });
  expect(created.status).toBe(201);
  const answer = (await created.json()) as { id: string };
  // A copy: Bun writes the matchers into what it compares.
  expect(structuredClone(answer)).toMatchObject({
    id: uuid,
    name: "first",
    maintenance: false,
    owner: { email: "owner@example.com", id: uuid },
    region: { id: uuid, name: "local" },
    stack: { id: uuid, name: "host" },
    git_url: `${served.gitUrl}/first.git`,
    web_url: expect.stringMatching(/^http:\/\/first\.localhost:\d+\/$/),
    created_at: time,
    slug_size: null,
  });
  expect(await json("/apps/first")).toEqual(answer);
  expect(await json(`/apps/${answer.id}`)).toEqual(answer);
  const changed = await send("PATCH", "/apps/first", { name: "second", maintenance: true });
  expect(await changed.json()).toMatchObject({ id: answer.id, name: "second", maintenance: true });
  expect((await served.ask("/apps/first")).status).toBe(404);
  expect((await served.ask("/apps/second", { method: "DELETE" })).status).toBe(200);
  expect((await served.ask("/apps/second")).status).toBe(404);
});

test("without a name, and without a body, an app gets a name of its own", async () => {
  const created = await served.ask("/apps", { method: "POST" });
  const { name } = (await created.json()) as { name: string };
  expect(name).toMatch(/^[a-z]+-[a-z]+-\d{5}$/);
  expect((await send("POST", "/apps", { name })).status).toBe(422);
  await served.ask(`/apps/${name}`, { method: "DELETE" });
});

test("config vars: one PATCH is one release, null removes, bytes stay as they are", async () => {
  const odd = "a \"b\" 'c' $D `e` \\ \n\t é 日本 \u0001";
  const before = ((await json("/apps/shop/releases")) as unknown[]).length;
  const answer = await send("PATCH", "/apps/shop/config-vars", { A: odd, B: "2" });
  expect(await answer.json()).toEqual({ A: odd, B: "2" });
  expect(await (await send("PATCH", "/apps/shop/config-vars", { B: null })).json()).toEqual({
    A: odd,
  });
  expect(await json("/apps/shop/config-vars")).toEqual({ A: odd });
  expect(await json("/apps/shop/releases")).toHaveLength(before + 2);
  expect(await json(`/apps/shop/releases/v${before + 1}/config-vars`)).toEqual({ A: odd, B: "2" });
  expect((await send("PATCH", "/apps/shop/config-vars", { A: 5 })).status).toBe(422);
  expect((await send("PATCH", "/apps/shop/config-vars", { "1A": "x" })).status).toBe(422);
});

test("releases: shape, range, rollback", async () => {
  const deployed = served.deploy(app, { web: "npm start", worker: "node worker.js" });
  const newest = await served.ask("/apps/shop/releases", {
    headers: { Range: "version ..; order=desc,max=1" },
  });
  expect(newest.status).toBe(206);
  expect(newest.headers.get("Next-Range")).toBe(
    `version ]${deployed.version}..; max=1, order=desc`,
  );
  expect(await newest.json()).toEqual([
    {
      addon_plan_names: [],
      app: { id: app.id, name: "shop" },
      artifacts: [{ id: uuid, type: "slug" }],
      created_at: time,
      current: true,
      description: "Deploy de63889c",
      eligible_for_rollback: true,
      id: deployed.id,
      output_stream_url: null,
      slug: { id: uuid },
      status: "succeeded",
      updated_at: time,
      user: { email: "owner@example.com", id: uuid },
      version: deployed.version,
    },
  ]);
  expect(await json(`/apps/shop/releases/${deployed.version}`)).toMatchObject({ id: deployed.id });
  await send("PATCH", "/apps/shop/config-vars", { LATER: "1" });
  const answer = await send("POST", "/apps/shop/releases", { release: deployed.id });
  expect(answer.status).toBe(201);
  expect(await answer.json()).toMatchObject({
    version: deployed.version + 2,
    description: `Rollback to v${deployed.version}`,
    current: true,
  });
  expect(await json("/apps/shop/config-vars")).not.toHaveProperty("LATER");
  const refused = await send("POST", "/apps/shop/releases", { release: "v1" });
  expect(refused.status).toBe(422);
  expect(await refused.json()).toMatchObject({
    message: expect.stringContaining("it has no slug"),
  });
});

test("pages lead to the end of a list and stop there", async () => {
  const all = ((await json("/apps/shop/releases")) as { version: number }[]).map((r) => r.version);
  expect(all).toEqual(all.toSorted((a, b) => a - b));
  const walked: number[] = [];
  let range: string | null = "version ..; max=2, order=desc";
  while (range !== null) {
    const response: Response = await served.ask("/apps/shop/releases", {
      headers: { Range: range },
    });
    expect(response.headers.get("Content-Range")).toStartWith("version ");
    walked.push(...((await response.json()) as { version: number }[]).map((r) => r.version));
    range = response.headers.get("Next-Range");
    expect(response.status).toBe(range === null ? 200 : 206);
  }
  expect(walked).toEqual(all.toReversed());
  for (const Range of ["id ..; max=1000;", "", "version", "version 1..3", "version ]0..; max=9"])
    expect((await served.ask("/apps/shop/releases", { headers: { Range } })).status).toBe(200);
  const bad = await served.ask("/apps/shop/releases", { headers: { Range: "colour ..; max=1" } });
  expect(bad.status).toBe(416);
});

test("stacks: the machine's own is the default, and an app is set to one that is there", async () => {
  const host = { id: uuid, name: "host", default: true, state: "public", image: null };
  expect(await json("/stacks")).toMatchObject([{ name: "container", default: false }, host]);
  expect(await json("/stacks/host")).toMatchObject(host);
  expect((await served.ask("/stacks/nope")).status).toBe(404);
  const patch = (body: object) =>
    served.ask("/apps/shop", { method: "PATCH", body: JSON.stringify(body) });
  expect(await (await patch({ build_stack: "host" })).json()).toMatchObject({
    build_stack: { name: "host" },
    stack: { name: "host" },
  });
  expect(await (await patch({ build_stack: "nope" })).json()).toEqual({
    ...{ id: "not_found", resource: "stack" },
    message: `Couldn't find that stack: "nope". There is: host, container.`,
  });
  const ofHeroku = await patch({ build_stack: "heroku-24" });
  expect(ofHeroku.headers.get("X-Heroku-Warning")).toBe(
    "The stack heroku-24 has not been added to this server; the app is for host.",
  );
  // Under that name: scripts and Terraform read back what they have set.
  const named = { build_stack: { name: "heroku-24" }, stack: { name: "heroku-24" } };
  expect(await ofHeroku.json()).toMatchObject(named);
  const slug = await send("POST", "/apps/shop/slugs", { process_types: { web: "x" } });
  expect(await slug.json()).toMatchObject({ stack: { name: "heroku-24" } });
  expect(await (await patch({ build_stack: "host" })).json()).toMatchObject({
    build_stack: { name: "host" },
    stack: { name: "host" },
  });
});

test("an app's region is what its owner calls this machine", async () => {
  const made = await send("POST", "/apps", { name: "european", region: "eu" });
  expect(await made.json()).toMatchObject({ region: { id: uuid, name: "eu" } });
  expect(await json("/apps/european")).toMatchObject({ region: { name: "eu" } });
  expect(await json("/regions/eu")).toMatchObject({ name: "eu", description: "This machine" });
  const refused = await send("POST", "/apps", { name: "nowhere", region: "mars" });
  expect(await refused.json()).toMatchObject({
    id: "invalid_params",
    message: expect.stringContaining("region: must be one of local, us, eu,"),
  });
  expect((await served.ask("/apps/nowhere")).status).toBe(404);
});

test("images are released only of what was pushed, and only on the stack container", async () => {
  const docker_image = `sha256:${"a".repeat(64)}`;
  const patch = async (path: string, body: object) => {
    const response = await served.ask(path, { method: "PATCH", body: JSON.stringify(body) });
    return `${response.status} ${((await response.json()) as { message?: string }).message}`;
  };
  const updates = [{ type: "web", docker_image }];
  expect(await json("/apps/shop/container-images")).toEqual([]);
  expect(await patch("/apps/shop/formation", { updates })).toBe(
    "422 The stack of shop is host; images are released on the stack container. To change it: stator stack:set container -a shop",
  );
  await patch("/apps/shop", { build_stack: "container" });
  expect(await patch("/apps/shop/formation", { updates })).toStartWith(
    `404 No image "${docker_image}" was pushed for web of shop.`,
  );
  expect(await patch("/apps/shop/formation/web", { docker_image: null })).toStartWith(
    "422 shop would have no image left.",
  );
  expect(
    await patch("/apps/shop/formation", { updates: [{ type: "web", docker_image: "latest" }] }),
  ).toContain("must be sha256: and 64 hex digits");
  await patch("/apps/shop", { build_stack: "host" });
});

test("an image is named as one of three kinds, or refused", async () => {
  const post = async (body: object) => {
    const response = await served.ask("/stacks", { method: "POST", body: JSON.stringify(body) });
    const { message } = (await response.json()) as { message: string };
    return `${response.status} ${message}`;
  };
  const name = "deb";
  expect(await post({ name })).toContain("422 image: must be an object whose kind is");
  expect(await post({ name, image: { kind: "docker", reference: "--all" } })).toContain(
    "422 image.reference: must be a name like",
  );
  const url = "https://elsewhere.example/x.tar";
  expect(await post({ name, image: { kind: "tar", url } })).toBe(
    "422 image.url: must be an address of POST /sources to which something was uploaded",
  );
  const reference = "heroku/heroku:24";
  expect(await post({ name, image: { kind: "docker", reference, username: "u" } })).toBe(
    "422 image.password: must be there with a username",
  );
  expect(await post({ name, image: { kind: "docker", reference } })).toBe(
    "422 Nothing runs on this platform.",
  );
});

test("formation, dynos, builds and slugs have Heroku's shapes", async () => {
  const release = served.deploy(app, { web: "npm start", worker: "node worker.js" });
  expect(await json("/apps/shop/formation")).toMatchObject([
    {
      type: "web",
      quantity: 1,
      size: "Basic",
      command: "npm start",
      id: uuid,
      dyno_size: { id: uuid },
    },
    { type: "worker", quantity: 0, command: "node worker.js" },
  ]);
  expect(await json("/apps/shop/formation/web")).toMatchObject({ type: "web" });
  expect((await served.ask("/apps/shop/formation/nope")).status).toBe(404);
  const dyno = served.startDyno(app, { type: "web", number: 1, command: "npm start" });
  expect(await json("/apps/shop/dynos")).toEqual([
    {
      app: { id: app.id, name: "shop" },
      attach_url: null,
      command: "npm start",
      created_at: time,
      id: dyno.id,
      name: "web.1",
      release: { id: release.id, version: release.version },
      size: "Basic",
      state: "starting",
      type: "web",
      updated_at: time,
    },
  ]);
  const { database } = served.platform;
  const build = createBuild(database, {
    ...{ app, user: served.account },
    source: { url: null, version: "de63889c", versionDescription: null, checksum: null },
  });
  const { id: releaseId, slugId } = release;
  updateBuild(database, build, { status: "succeeded", slugId, releaseId });
  expect(await json("/apps/shop/builds")).toMatchObject([
    {
      id: build.id,
      status: "succeeded",
      slug: { id: release.slugId },
      release: { id: release.id },
    },
  ]);
  expect(await json(`/apps/shop/slugs/${release.slugId}`)).toMatchObject({
    checksum: `SHA256:${"ab".repeat(32)}`,
    process_types: { web: "npm start" },
  });
});

test("restarts: all, one dyno, one type; what is not there is said", async () => {
  served.restarted.length = 0;
  const remove = async (path: string) => (await served.ask(path, { method: "DELETE" })).status;
  expect(await remove("/apps/shop/dynos")).toBe(202);
  expect(await remove("/apps/shop/dynos/web.1")).toBe(202);
  expect(await remove("/apps/shop/formations/web")).toBe(202);
  expect(await remove("/apps/shop/dynos/web.9")).toBe(404);
  expect(await remove("/apps/shop/formations/nope")).toBe(404);
  expect(served.restarted).toEqual([undefined, "web.1", "web"]);
});

test("a detached one-off says its name and speaks into the log", async () => {
  const answer = await send("POST", "/apps/shop/dynos", {
    command: "echo $WORD",
    env: { WORD: "hi" },
  });
  expect(answer.status).toBe(201);
  const dyno = (await answer.json()) as { name: string };
  expect(structuredClone(dyno)).toMatchObject({
    attach_url: null,
    type: "run",
    command: "echo $WORD",
  });
  const [line] = await served.platform.logs.read(app.id, { lines: 1 });
  expect(line).toMatchObject({ dyno: dyno.name, message: "hi" });
});
