import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import {
  packageJson,
  probeFiles,
  startStator,
  type StatorApp,
  type StatorServer,
} from "../helpers/stator-server.ts";

let stator: StatorServer;
let app: StatorApp;
let first: Awaited<ReturnType<StatorApp["push"]>>;

const buildScript = `
tr '\\0' '\\n' < /proc/1/environ > compile-environment
id > build-user
ls -A > build-files
pwd > build-folder
ls /tmp/env_* > env-dir
od -c /tmp/env_*/WORD > env-word
stat -c %a /tmp > tmp-mode
touch /app/written && echo yes > home-is-writable
test -e /etc/apt/sources.list && echo yes > has-sources-list
for tool in bash curl git jq tar gzip xz zstd unzip file python3 make cc; do command -v $tool > /dev/null || echo $tool; done > missing-tools
echo "was $(cat /tmp/codon/tmp/cache/mine 2>&1)" > cache-before
echo "$SOURCE_VERSION" > /tmp/codon/tmp/cache/mine
`;

beforeAll(async () => {
  stator = await startStator({ variables: { STATOR_BUILD_ENV_FROM_OPERATOR: "to-builds" } });
  app = await stator.createApp(
    probeFiles("1", {
      "package.json": packageJson({ build: "sh build.sh" }),
      "build.sh": buildScript,
      ".slugignore": "# what does not run\n*.md\n/docs\n!README.md\n",
      "README.md": "Read me",
      "docs/manual.txt": "A manual",
      "lib/docs/kept.txt": "kept",
      Procfile: "worker: sleep 1000\n",
    }),
  );
  app.write({ "package.json": packageJson({ build: "sh build.sh", start: "node server.js npm" }) });
  await app.commit("With a start script");
  await app.api("PATCH", "/config-vars", { WORD: "xyzzy", NODE_MODULES_CACHE: "true" });
  first = await app.push();
});
afterAll(() => stator.stop());

test("clause 61: what the build leaves in its folder is in /app, and the build ran elsewhere", async () => {
  expect(first.text).toContain("Verifying deploy... done.");
  expect(await app.shell("cat build-folder")).toMatch(/^\/tmp\/build_[0-9a-f]+\n$/);
});

test("clause 62: config vars are files of ENV_DIR without a newline, not compile's environment", async () => {
  const files = (await app.shell("cat env-dir")).trim().split("\n");
  expect(files).toEqual(["NODE_MODULES_CACHE", "WORD"]);
  expect(await app.shell("cat compile-environment")).not.toContain("WORD=");
  expect(await app.shell("cat env-word")).toStartWith("0000000   x   y   z   z   y\n0000005");
});

test("clause 63: the cache folder of a build is there at the next one", async () => {
  const before = await app.git("rev-parse", "HEAD");
  await app.commit("Again");
  expect((await app.push()).exitCode).toBe(0);
  expect(await app.shell("cat cache-before")).toBe(`was ${before.stdout}`);
});

test("clause 64: the buildpack's default type is used where the Procfile has no such type", async () => {
  expect(first.text).toMatch(
    /-----> Discovering process types\n       Procfile declares types {5}-> worker\n       Default types for buildpack -> web\n/,
  );
  expect(await (await app.get()).text()).toBe("version npm");
});

test("clause 69: what .slugignore names is absent at compile and at run time", async () => {
  const atCompile = (await app.shell("cat build-files")).split("\n");
  expect(atCompile).toContain("lib");
  expect(atCompile).not.toContain("docs");
  expect(atCompile).not.toContain("README.md");
  expect(await app.shell("ls -d docs README.md lib/docs/kept.txt 2>/dev/null")).toBe(
    "lib/docs/kept.txt\n",
  );
});

test("clause 71: STACK, SOURCE_VERSION and the operator's settings are in compile's environment", async () => {
  const environment = await app.shell("cat compile-environment");
  expect(environment).toMatch(/^STACK=heroku-2\d$/m);
  expect(environment).toMatch(/^SOURCE_VERSION=[0-9a-f]{40}$/m);
  expect(environment).toMatch(/^FROM_OPERATOR=to-builds$/m);
  expect(await app.shell("env")).not.toContain("FROM_OPERATOR");
});

test("a build has what buildpacks rely on: a writable home, /tmp for all, sources of apt, and their tools", async () => {
  const seen = await app.shell("cat tmp-mode home-is-writable has-sources-list missing-tools");
  expect(seen).toBe("1777\nyes\nyes\n");
});

test("a build runs as the unprivileged user, without the app's history", async () => {
  expect(await app.shell("cat build-user")).toStartWith("uid=1000(dyno) gid=1000(dyno)");
  expect((await app.shell("cat build-files")).split("\n")).not.toContain(".git");
});

test("a link in the place of the Procfile tells nothing of the host", async () => {
  rmSync(join(app.folder, "Procfile"));
  symlinkSync("/etc/passwd", join(app.folder, "Procfile"));
  await app.commit("A link");
  const pushed = await app.push();
  expect(pushed.text).not.toContain("root");
  expect(pushed.text).toContain("Procfile declares types     -> (none)");
});

test("a build that puts a pipe in the place of its Procfile does not hold up the push", async () => {
  app.write({
    "package.json": packageJson({
      build: "rm -f Procfile && mkfifo Procfile .slugignore.pipe",
      start: "node server.js pipe",
    }),
  });
  await app.commit("A pipe");
  const pushed = await app.push();
  expect(pushed.text).toContain("Procfile declares types     -> (none)");
  expect(pushed.text).toContain("Verifying deploy... done.");
});

test("a build that puts a link in the place of its own folder gets nothing of the host", async () => {
  app.write({
    "package.json": packageJson({
      build: 'here="$PWD"; cd / && rm -rf "$here"; ln -s /etc "$here"',
    }),
  });
  await app.commit("A folder that is a link");
  const pushed = await app.push();
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain(`!\tPush rejected to ${app.name}.`);
  expect(await (await app.get()).text()).toBe("version pipe");
});

test("a .slugignore that names everything, and one that is a link, harm nothing", async () => {
  const files = { "package.json": packageJson({ start: "node server.js ignored" }) };
  app.write({ ...files, ".slugignore": "../*\n/../../\n\\\n[\n" });
  await app.commit("Strange patterns");
  expect((await app.push()).text).toContain("Verifying deploy... done.");
  rmSync(join(app.folder, ".slugignore"));
  symlinkSync("/etc/passwd", join(app.folder, ".slugignore"));
  await app.commit("A link");
  expect((await app.push()).text).toContain("Verifying deploy... done.");
  rmSync(join(app.folder, ".slugignore"));
  app.write({ ".slugignore": "*\n" });
  await app.commit("Everything");
  const pushed = await app.push();
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain(
    "-----> App not compatible with buildpack: heroku/nodejs\n !     A Node.js app has a package.json",
  );
  expect(await (await app.get()).text()).toBe("version ignored");
});

test("an app that several buildpacks take is built by the first of them, with a warning", async () => {
  const both = await stator.createApp(
    probeFiles("both", { "requirements.txt": "", "index.html": "not a site" }),
  );
  const pushed = await both.push();
  expect(pushed.text).toContain(
    "-----> Determining which buildpack to use for this app\n" +
      " !     Warning: Multiple default buildpacks reported the ability to handle this app. The first buildpack in the list below will be used.\n" +
      "\t\t\tDetected buildpacks: Node.js,Python\n" +
      "\t\t\tTo choose: stator buildpacks:set, and buildpacks:add for more than one\n" +
      "-----> Node.js app detected\n",
  );
  expect(await (await both.get()).text()).toBe("version both");
});

test("a build leaves nothing of its folders behind", () => {
  expect(readdirSync(join(stator.dataDir, "box/builds"))).toEqual([]);
});
