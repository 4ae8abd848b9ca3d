import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { exec, execOk } from "../../src/lib/exec.ts";
import { commandLine } from "../helpers/command-line.ts";
import {
  findProcesses,
  packageJson,
  probeFiles,
  startStator,
  type StatorApp,
  type StatorServer,
  until,
} from "../helpers/stator-server.ts";

let stator: StatorServer;
beforeAll(async () => {
  stator = await startStator({
    variables: {
      STATOR_BUILD_CONCURRENCY: "1",
      STATOR_GIT_REQUESTS_PER_HOUR: "12",
      STATOR_BUILD_CACHE_MEGABYTES: "64",
    },
  });
});
afterAll(() => stator.stop());

interface BuildAnswer {
  id: string;
  status: string;
  output_stream_url: string;
  slug: { id: string } | null;
  release: { id: string } | null;
  source_blob: { checksum: string | null; version: string | null };
  buildpacks: { name: string; url: string }[];
}

/** Asks an address of the API that needs no token. */
function askUrl(address: string, init: RequestInit = {}): Promise<Response> {
  const url = new URL(address);
  return stator.ask("api", `${url.pathname}${url.search}`, init);
}

async function archiveOf(app: StatorApp, ...flags: string[]): Promise<Buffer<ArrayBuffer>> {
  const path = join(stator.work, `${crypto.randomUUID()}.tar.gz`);
  await app.git("archive", ...flags, "--format=tar.gz", "--output", path, "HEAD");
  return readFileSync(path) as Buffer<ArrayBuffer>;
}

const sha256 = (bytes: Uint8Array) => `SHA256:${createHash("sha256").update(bytes).digest("hex")}`;

async function upload(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const { source_blob: blob } = await stator.api<{
    source_blob: { get_url: string; put_url: string };
  }>("POST", "/sources");
  expect((await askUrl(blob.put_url, { method: "PUT", body: bytes })).status).toBe(200);
  return blob.get_url;
}

const problem = (asked: Promise<unknown>) =>
  asked.then(
    () => "",
    (error: Error) => error.message,
  );
const build = (app: StatorApp, source: object, more: object = {}) =>
  app.api<BuildAnswer>("POST", "/builds", { source_blob: source, ...more });
const output = async (of: BuildAnswer) => (await askUrl(of.output_stream_url)).text();
const status = async (app: StatorApp, of: BuildAnswer) =>
  (await app.api<BuildAnswer>("GET", `/builds/${of.id}`)).status;

test("clause 88: a build from an archive is the same as of a push; its output streams, its status follows", async () => {
  const app = await stator.createApp(probeFiles("archive"));
  const bytes = await archiveOf(app, "--prefix=outer-folder/");
  const begun = await build(app, {
    url: await upload(bytes),
    version: "v1.2.3",
    checksum: sha256(bytes),
  });
  expect(begun).toMatchObject({
    status: "pending",
    source_blob: { version: "v1.2.3", checksum: sha256(bytes) },
  });
  const text = await output(begun);
  expect(text).toContain("-----> Node.js app detected");
  expect(text).toContain("Verifying deploy... done.");
  const ended = await app.api<BuildAnswer>("GET", `/builds/${begun.id}`);
  expect(ended).toMatchObject({
    status: "succeeded",
    buildpacks: [{ name: "heroku/nodejs", url: "urn:buildpack:heroku/nodejs" }],
  });
  expect(ended.release).not.toBeNull();
  expect(await (await app.get()).text()).toBe("version archive");
  const kept = await exec(["find", join(stator.dataDir, "sources"), "-type", "f"]);
  expect(kept.stdout.split("\n").filter(Boolean)).toHaveLength(1);
});

test("an archive with another checksum, that is none, or that was never uploaded is not built", async () => {
  const app = await stator.createApp(probeFiles());
  const bytes = await archiveOf(app);
  const wrong = await build(app, {
    url: await upload(bytes),
    checksum: `SHA256:${"0".repeat(64)}`,
  });
  expect(await output(wrong)).toContain(`its checksum is ${sha256(bytes)}, not SHA256:000`);
  const junk = await build(app, { url: await upload(Buffer.from("junk")) });
  expect(await output(junk)).toContain(
    "The source archive is refused: it is not a whole tar archive",
  );
  const { source_blob: blob } = await stator.api<{ source_blob: { get_url: string } }>(
    "POST",
    "/sources",
  );
  const empty = await build(app, { url: blob.get_url });
  expect(await output(empty)).toContain("nothing was uploaded to its address");
  for (const one of [wrong, junk, empty]) expect(await status(app, one)).toBe("failed");
  const releases = await app.api<unknown[]>("GET", "/releases");
  expect(releases).toHaveLength(2);
});

test("an archive that leads out of its folder is refused by name", async () => {
  const app = await stator.createApp(probeFiles());
  const path = join(stator.work, "evil.tar");
  await execOk([
    "tar",
    "-C",
    app.folder,
    "-cPf",
    path,
    "--transform=s,^package.json,../../../evil,",
    "package.json",
  ]);
  const evil = await build(app, { url: await upload(readFileSync(path) as Buffer<ArrayBuffer>) });
  expect(await output(evil)).toContain(
    'The source archive is refused: "../../../evil" leads out of its folder by `..`.',
  );
});

test("what does not belong to a source's address, or a build's, opens nothing", async () => {
  const app = await stator.createApp(probeFiles());
  const url = await upload(Buffer.from("mine"));
  expect((await askUrl(url.slice(0, -1))).status).toBe(404);
  expect(
    (await askUrl(url.replace(/source-blobs\/[^/]+/, `source-blobs/${crypto.randomUUID()}`)))
      .status,
  ).toBe(404);
  expect(await (await askUrl(url)).text()).toBe("mine");
  const begun = await build(app, { url });
  expect((await askUrl(`${begun.output_stream_url}x`)).status).toBe(404);
  await output(begun);
});

test("clause 89: a slug is announced, its archive put, and released without a build", async () => {
  const app = await stator.createApp({ "x.txt": "" });
  const folder = join(stator.work, "by-hand");
  await execOk(["mkdir", "-p", join(folder, "app")]);
  await Bun.write(join(folder, "app/index.html"), "by hand");
  await execOk(["ln", "-s", "/app/index.html", join(folder, "app/link.html")]);
  const tar = join(stator.work, "slug.tgz");
  await execOk(["tar", "-C", folder, "-czf", tar, "./app"]);
  const bytes = readFileSync(tar) as Buffer<ArrayBuffer>;
  const slug = await app.api<{ id: string; blob: { method: string; url: string } }>(
    "POST",
    "/slugs",
    {
      process_types: { web: "python3 -m http.server $PORT" },
      checksum: sha256(bytes),
      commit: "abcdef0123456789",
    },
  );
  expect(slug.blob.method).toBe("put");
  expect(await problem(app.api("POST", "/releases", { slug: slug.id }))).toContain("404");
  const other = await askUrl(slug.blob.url, {
    method: "PUT",
    body: Buffer.concat([bytes, Buffer.from("x")]),
  });
  expect(other.status).toBe(422);
  expect((await askUrl(slug.blob.url, { method: "PUT", body: bytes })).status).toBe(200);
  expect((await askUrl(slug.blob.url, { method: "PUT", body: bytes })).status).toBe(409);
  const release = await app.api<{ version: number; description: string }>("POST", "/releases", {
    slug: slug.id,
    description: "By hand",
  });
  expect(release).toMatchObject({ version: 3, description: "By hand" });
  await until("the slug serves", async () => (await app.get("/")).status === 200);
  expect(await (await app.get("/link.html")).text()).toBe("by hand");
  const ready = await app.api<{ checksum: string; blob: { method: string; url: string } }>(
    "GET",
    `/slugs/${slug.id}`,
  );
  expect(ready).toMatchObject({ checksum: sha256(bytes), blob: { method: "get" } });
  const archive = join(stator.work, "again.tgz");
  await Bun.write(archive, await askUrl(ready.blob.url));
  expect((await exec(["tar", "-tzf", archive])).stdout).toContain("./app/index.html");
});

test("a slug that is not below ./app, or leads out of it, is refused by name", async () => {
  const app = await stator.createApp({ "x.txt": "" });
  const put = async (bytes: Buffer<ArrayBuffer>) => {
    const slug = await app.api<{ blob: { url: string } }>("POST", "/slugs", {
      process_types: { web: "x" },
    });
    return (await askUrl(slug.blob.url, { method: "PUT", body: bytes })).text();
  };
  expect(await put(await archiveOf(app))).toContain(
    "all of a slug is below ./app; this one has x.txt",
  );
  const path = join(stator.work, "evil-slug.tar");
  await execOk([
    "tar",
    "-C",
    app.folder,
    "-cPf",
    path,
    "--transform=s,^x.txt,app/../../evil,",
    "x.txt",
  ]);
  expect(await put(readFileSync(path) as Buffer<ArrayBuffer>)).toContain(
    '\\"app/../../evil\\" leads out of its folder',
  );
});

test("builds wait in a queue, can be canceled there and while they run, and take nothing with them", async () => {
  const sleep = `1000.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const slow = { "package.json": packageJson({ build: `echo begun && sleep ${sleep}` }) };
  const first = await stator.createApp(probeFiles("1", slow));
  const second = await stator.createApp(probeFiles("2"));
  const running = await build(first, { url: await upload(await archiveOf(first)) });
  await until("the build sleeps", () => findProcesses(sleep).length > 0);
  const waiting = await build(second, { url: await upload(await archiveOf(second)) });
  await second.api("DELETE", `/builds/${waiting.id}`);
  expect(await output(waiting)).toContain(
    "-----> Waiting for other builds of this platform to end (0 before this one)\n !     The build was canceled by",
  );
  const next = await build(second, { url: await upload(await archiveOf(second)) });
  await first.api("DELETE", `/builds/${running.id}`);
  expect(await output(running)).toEndWith(
    ` !     The build was canceled by ${stator.credentials.email}.\n`,
  );
  expect(await output(next)).toContain("Verifying deploy... done.");
  expect(findProcesses(sleep)).toEqual([]);
  for (const [app, one, expected] of [
    [first, running, "failed"],
    [second, waiting, "failed"],
    [second, next, "succeeded"],
  ] as const)
    expect(await status(app, one)).toBe(expected);
  expect(await problem(second.api("DELETE", `/builds/${next.id}`))).toContain("409");
});

test("a push that is canceled from elsewhere is rejected", async () => {
  const sleep = `1000.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const app = await stator.createApp(
    probeFiles("1", { "package.json": packageJson({ build: `sleep ${sleep}` }) }),
  );
  const pushing = app.push();
  await until("the build sleeps", () => findProcesses(sleep).length > 0);
  const [begun] = await app.api<BuildAnswer[]>("GET", "/builds");
  await app.api("DELETE", `/builds/${begun?.id}`);
  const { text, exitCode } = await pushing;
  expect(text).toContain(` !     The build was canceled by ${stator.credentials.email}.\n`);
  expect(text).toContain(`!\tPush rejected to ${app.name}.`);
  expect(exitCode).not.toBe(0);
});

test("the build cache is forgotten when it is purged", async () => {
  const app = await stator.createApp(
    probeFiles("1", {
      "package.json": packageJson({
        build: "cat /tmp/codon/tmp/cache/mine; echo kept > /tmp/codon/tmp/cache/mine",
      }),
    }),
  );
  await app.push();
  await app.commit();
  expect((await app.push()).text).toContain("       kept\n");
  await app.api("DELETE", "/build-cache");
  await app.commit();
  expect((await app.push()).text).not.toContain("       kept\n");
});

test("a build cache that has grown above the operator's limit is told and not kept", async () => {
  const grow = "ls /tmp/codon/tmp/cache; head -c 70M /dev/zero > /tmp/codon/tmp/cache/large";
  const app = await stator.createApp(
    probeFiles("1", { "package.json": packageJson({ build: grow }) }),
  );
  for (let count = 0; count < 2; count++) {
    await app.commit();
    const { text, exitCode } = await app.push();
    expect(text).toMatch(
      / ! {5}The build cache of the app has grown to 7\d\.\dM, and is not kept: at most 64\.0M are\.\n/,
    );
    expect(text).not.toContain("       large\n");
    expect(exitCode).toBe(0);
  }
});

test("links, modes and odd names survive a push", async () => {
  const names = ["with space", "new\nline", "quote'\"", "ünïcode", "-dash", "$(id)", "back\\slash"];
  const app = await stator.createApp({
    ...probeFiles(),
    ...Object.fromEntries(names.map((name) => [`odd/${name}`, name])),
  });
  await execOk(["ln", "-s", "with space", join(app.folder, "odd/link")]);
  await execOk(["ln", "-s", "/nowhere/at all", join(app.folder, "odd/broken")]);
  await execOk(["chmod", "755", join(app.folder, "odd/$(id)")]);
  await Bun.write(join(app.folder, "odd/latin-1"), "x");
  await execOk([
    "mv",
    join(app.folder, "odd/latin-1"),
    Buffer.from(join(app.folder, "odd/caf")).toString() + "e",
  ]);
  await app.commit();
  expect((await app.push()).exitCode).toBe(0);
  const seen = JSON.parse(
    await app.shell(
      `node -e 'const fs = require("fs"); console.log(JSON.stringify(fs.readdirSync("odd").map((n) => [n, fs.lstatSync("odd/" + n).isSymbolicLink() ? "-> " + fs.readlinkSync("odd/" + n) : fs.readFileSync("odd/" + n, "utf8")])))'`,
    ),
  ) as [string, string][];
  const all = Object.fromEntries(seen);
  for (const name of names) expect(all[name]).toBe(name);
  expect(all["link"]).toBe("-> with space");
  expect(all["broken"]).toBe("-> /nowhere/at all");
  expect(await app.shell("stat -c %a 'odd/$(id)' odd/-dash")).toBe("755\n644\n");
});

test("git's door refuses what is not its protocol, and too many requests", async () => {
  const app = await stator.createApp(probeFiles());
  const authorization = `Basic ${Buffer.from(`x:${stator.credentials.token}`).toString("base64")}`;
  const post = (body: BodyInit, headers: Record<string, string> = {}) =>
    stator.ask("git", `/${app.name}.git/git-receive-pack`, {
      method: "POST",
      body,
      headers: { authorization, ...headers },
    });
  expect((await post("junk")).status).toBe(400);
  expect((await post("0000", { "content-encoding": "br" })).status).toBe(415);
  expect((await post("no gzip", { "content-encoding": "gzip" })).status).toBe(400);
  const asked = () => app.git("ls-remote", "stator");
  for (let count = 0; count < 12; count++) expect((await asked()).exitCode).toBe(0);
  const refused = await asked();
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr).toContain("Too many requests for this Git repo. Please try again later.");
});

test("a person builds from an archive, reads what was said, and sets buildpacks, on the command line", async () => {
  const app = await stator.createApp(probeFiles("cli"));
  const person = commandLine({
    STATOR_API: stator.credentials.api,
    STATOR_API_KEY: stator.credentials.token,
    STATOR_APP: app.name,
  });
  const run = async (...argv: string[]) => {
    const { status: exit, out, err } = await person.stator(...argv);
    return `${exit}\n${out}${err}`;
  };
  try {
    const title = `⬢ ${app.name}`;
    const again = "Run git push stator main to create a new release using";
    expect(await run("buildpacks")).toBe(`0\n${title} has no Buildpacks.\n`);
    expect(await run("buildpacks:set", "heroku/nodejs")).toBe(
      `0\nBuildpack set. Next release on ${title} will use heroku/nodejs.\n${again} this buildpack.\n`,
    );
    expect(
      await run("buildpacks:add", "-i", "1", "https://user:password@example.com/pack.git#v1"),
    ).toBe(
      `0\nBuildpack added. Next release on ${title} will use:\n  1. https://example.com/pack.git#v1\n  2. heroku/nodejs\n${again} these buildpacks.\n`,
    );
    expect(await run("buildpacks:add", "heroku/nodejs")).toContain(
      "The buildpack heroku/nodejs is already set on your app.",
    );
    expect(await run("buildpacks:add", "-i", "0", "heroku/ruby")).toContain(
      "Invalid index. Must be greater than 0.",
    );
    expect(await run("buildpacks")).toBe(
      `0\n=== ${title} Buildpack URLs\n\n1. https://example.com/pack.git#v1\n2. heroku/nodejs\n`,
    );
    expect(await run("buildpacks:remove", "-i", "3")).toContain(
      "Invalid index. Please choose a value between 1 and 2",
    );
    expect(await run("buildpacks:remove", "heroku/go")).toContain(
      "Buildpack not found. Nothing was removed.",
    );
    expect(await run("buildpacks:remove", "-i", "1")).toContain(
      "Buildpack removed. Next release on",
    );
    expect(await run("buildpacks:set", "nonsense here")).toContain(
      'Buildpack "nonsense here" is neither a name',
    );
    expect(await run("buildpacks:set", "heroku/ndoejs")).toContain(
      "heroku/ndoejs is not in the buildpack registry. Did you mean heroku/nodejs?",
    );
    expect(await run("buildpacks:clear")).toBe(
      `0\nBuildpacks cleared. Next release on ${title} will detect buildpacks normally.\n`,
    );

    await Bun.write(join(person.cwd, "app.tar.gz"), await archiveOf(app));
    const made = await run("builds:create", "--source-tar", "app.tar.gz", "--version", "v7");
    expect(made).toStartWith("0\n");
    expect(made).toContain("-----> Node.js app detected");
    expect(await (await app.get()).text()).toBe("version cli");
    expect(await run("builds")).toMatch(/succeeded {2}v7/);
    expect(await run("builds:info")).toMatch(/Version: +v7\n/);
    expect(await run("builds:output")).toContain("-----> Compressing...");
    expect(await run("builds:cancel")).toContain("is over: it has succeeded");
    expect(await run("builds:cache:download", "cache.tgz")).toContain(
      `Saved as ${join(person.cwd, "cache.tgz")}\n`,
    );
    const listed = await exec(["tar", "-tzf", join(person.cwd, "cache.tgz")]);
    expect(listed.stdout).toMatch(/^\.\/\n/);
    expect(await run("builds:cache:purge")).toContain("Clearing build cache of");
    expect(await run("builds:cache:download")).toContain("has no build cache");
    expect(readdirSync(person.cwd).filter((name) => name.includes("part"))).toEqual([]);
    expect(
      existsSync(join(stator.dataDir, "box/caches", (await app.api<{ id: string }>("GET")).id)),
    ).toBe(false);
    await Bun.write(join(person.cwd, "bad.tar"), "junk");
    expect(await run("builds:create", "--source-tar", "bad.tar")).toMatch(/^1\n/);
    expect(await run("builds:create")).toContain(
      "Give one of --source-tar FILE and --source-url URL.",
    );
  } finally {
    person.remove();
  }
});

test("on the command line: a build of an archive at an address, and what it says while it runs", async () => {
  const app = await stator.createApp(
    probeFiles("url", {
      "package.json": packageJson({
        build: "echo the build begins; until [ -e /tmp/codon/tmp/cache/go ]; do sleep 0.05; done",
      }),
    }),
  );
  const person = commandLine({
    STATOR_API: stator.credentials.api,
    STATOR_API_KEY: stator.credentials.token,
    STATOR_APP: app.name,
  });
  try {
    const url = await upload(await archiveOf(app));
    const creating = person.stator("builds:create", "--source-url", url, "--version", "v8");
    const begun = () => app.api<BuildAnswer[]>("GET", "/builds");
    await until("a build is there", async () => (await begun()).length === 1);
    const [one] = await begun();
    const outputUrl = `${(one as BuildAnswer).output_stream_url}?follow=no`;
    await until("it begins", async () =>
      (await (await askUrl(outputUrl)).text()).includes("       the build begins\n"),
    );
    // Without --tail it is what was said so far; with it all, to the end.
    const soFar = await person.stator("builds:output");
    expect(soFar.out).toEndWith("       the build begins\n");
    const tailing = person.stator("builds:output", "--tail");
    const { id } = await app.api<{ id: string }>("GET");
    await Bun.write(join(stator.dataDir, "box/caches", id, "go"), "");
    const [created, tailed] = [await creating, await tailing];
    expect(tailed).toEqual({ status: 0, out: created.out, err: "" });
    expect(tailed.out).toStartWith(soFar.out);
    expect(tailed.out).toEndWith("Verifying deploy... done.\n");
    expect(created.status).toBe(0);
    expect(await (await app.get()).text()).toBe("version url");
    expect((await person.stator("builds:info")).out).toMatch(/Version: +v8\n/);
    const refused = await person.stator("builds:create", "--source-url", "ftp://example.com/x");
    expect(refused.status).toBe(1);
    expect(refused.err).toContain("source_blob.url: must be an address with https://");
  } finally {
    person.remove();
  }
});

test("builds leave nothing of their folders behind", () => {
  expect(readdirSync(join(stator.dataDir, "box/builds"))).toEqual([]);
});
