import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import { commandLine } from "../helpers/command-line.ts";
import { debianRoot, marker } from "../helpers/debian-root.ts";
import { writeOciImage } from "../helpers/oci-image.ts";
import { tarOf } from "../helpers/tar-of.ts";
import { startRegistry } from "../helpers/registry.ts";
import { startStator, type StatorApp, type StatorServer, until } from "../helpers/stator-server.ts";

let stator: StatorServer;
let registry: Awaited<ReturnType<typeof startRegistry>>;
let person: ReturnType<typeof commandLine>;
let root = "";
let oci = "";

beforeAll(async () => {
  root = await debianRoot();
  stator = await startStator();
  registry = await startRegistry(join(stator.work, "registry"));
  person = commandLine({
    STATOR_API: stator.credentials.api,
    STATOR_API_KEY: stator.credentials.token,
  });
  oci = join(stator.work, "oci");
  // The same root as other people's tools make an image of it, with a layer of its own on top.
  const tar = join(stator.work, "root.tar");
  await execOk(["zstd", "--quiet", "-d", root, "-o", tar]);
  for (const argv of [
    ["init", "--layout", oci],
    ["new", "--image", `${oci}:latest`],
    ["raw", "add-layer", "--image", `${oci}:latest`, tar],
    ["config", "--image", `${oci}:latest`, "--config.env", "STACK=heroku-24"],
  ])
    await execOk(["umoci", ...argv]);
});
afterAll(async () => {
  person.remove();
  await registry.stop();
  await stator.stop();
});

async function ok(...argv: string[]) {
  const { status, out, err } = await person.stator(...argv);
  expect(`${argv.join(" ")}: ${status === 0 ? "" : err}`).toBe(`${argv.join(" ")}: `);
  return { out, err };
}

async function refused(...argv: string[]): Promise<string> {
  const { status, err } = await person.stator(...argv);
  expect(status).not.toBe(0);
  return err;
}

/** An app with a classic buildpack of its own, which looks around as the official ones do. */
const files = (version: string) => ({
  "bin/detect": "#!/usr/bin/env bash\necho Looks around\n",
  "bin/compile": `#!/usr/bin/env bash
set -euo pipefail
BUILD_DIR=$1 CACHE_DIR=$2
echo "-----> STACK is $STACK, on $(. /etc/os-release; echo "$PRETTY_NAME"), by $(id -un), in $HOME"
for tool in curl git jq tar gzip xz zstd unzip file python3; do command -v "$tool" >/dev/null || echo "no $tool"; done
[ -e /etc/apt/sources.list ] || echo "no sources.list"
echo "cached: $(cat "$CACHE_DIR/word" 2>/dev/null || echo nothing)"
echo "$STACK" > "$CACHE_DIR/word"
touch /app/x /tmp/y && rm /app/x
touch /usr/x 2>/dev/null && echo "wrote to /usr"
toolbox satisfies 1.2.3 '>=1' && echo "the toolbox runs"
mkdir -p "$BUILD_DIR/public" "$BUILD_DIR/.profile.d"
cat ${marker} > "$BUILD_DIR/public/built-on" 2>/dev/null || echo host > "$BUILD_DIR/public/built-on"
echo 'export FROM_PROFILE=yes' > "$BUILD_DIR/.profile.d/x.sh"
`,
  "bin/release": "#!/usr/bin/env bash\necho '--- {}'\n",
  Procfile: `web: echo "$STACK $(cat ${marker} 2>/dev/null || echo host) $FROM_PROFILE ${version}" > public/index.html; cd public && exec python3 -m http.server $PORT\n`,
});

async function makeApp(more: Record<string, string> = {}): Promise<StatorApp> {
  const app = await stator.createApp({});
  app.write({ ...files("one"), ...more });
  for (const name of ["detect", "compile", "release"])
    await execOk(["chmod", "755", join(app.folder, "bin", name)]);
  await app.commit();
  return app;
}

const says = async (app: StatorApp, path = "/") => (await (await app.get(path)).text()).trim();
const stackOf = async (app: StatorApp) => {
  const { stack, build_stack: next } = await app.api<Record<string, { name: string }>>("GET");
  return [stack?.name, next?.name];
};

test("the tar of a root becomes a stack, and says how it is", async () => {
  const { err } = await ok("stacks:add", "deb", "--from", root);
  expect(err).toContain(`Uploading ${root}... done\nAdding stack deb... \n`);
  expect(err).toContain("       Trying it\n");
  expect(err).toContain("it does not have: make, gcc");
  expect(err).toMatch(/deb is Debian of an image, sha256:[0-9a-f]{64}\ndone\n$/);
  const { out } = await ok("stacks", "--images");
  expect(out).toMatch(
    /^container +images of an app's own\ndeb +Debian of an image +\d+\.?\d* MB +sha256:[0-9a-f]{64}\n/,
  );
  expect(out).toMatch(/\nhost +what this machine has\n$/);
});

test("clause 71: an app goes over with its next build, all of it, and back by a rollback", async () => {
  const app = await makeApp();
  const first = await app.push();
  expect(first.text).toContain("Verifying deploy... done.");
  expect(first.text).toMatch(/Building on the Heroku-2\d stack/);
  expect(await says(app)).toMatch(/^heroku-2\d host yes one$/);
  expect(await stackOf(app)).toEqual(["host", "host"]);

  const set = await ok("stack:set", "deb", "-a", app.name);
  expect(set.err).toBe("Setting stack to deb... done\n");
  expect(set.out).toBe(
    `You will need to redeploy ⬢ ${app.name} for the change to take effect.\nRun git push stator main to trigger a new build on ⬢ ${app.name}.\n`,
  );
  expect(await stackOf(app)).toEqual(["host", "deb"]);
  expect((await ok("info", "-a", app.name)).out).toContain("host (next build will use deb)");
  expect((await ok("stacks", "-a", app.name)).out).toContain(
    "  deb (active on next deploy)\n* host\n",
  );
  await app.api("PATCH", "/config-vars", { A: "1" });
  await until("the old release goes on, on the host", async () =>
    /^heroku-2\d host yes one$/.test(await says(app)),
  );
  expect(await app.logs()).toContain(`Stack changed from host to deb by user owner@`);

  await app.commit("Again");
  const second = await app.push();
  expect(second.text).toContain("Building on the Deb stack");
  expect(second.text).toMatch(
    /-----> STACK is heroku-2\d, on Debian of an image, by dyno, in \/app\n/,
  );
  for (const bad of ["no ", "wrote to /usr"]) expect(second.text).not.toContain(`\n       ${bad}`);
  expect(second.text).not.toMatch(/^no /m);
  expect(second.text).toContain("cached: nothing");
  expect(second.text).toContain("the toolbox runs");
  expect(second.text).toContain("Verifying deploy... done.");
  expect(await says(app)).toMatch(/^heroku-2\d image yes one$/);
  expect(await says(app, "/built-on")).toBe("image");
  expect(await stackOf(app)).toEqual(["deb", "deb"]);

  const look = `cat ${marker}; id -un; touch /usr/x 2>&1; echo $STACK $FROM_PROFILE`;
  const run = person.start(["run", "-a", app.name, "--", look]);
  expect(await new Response(run.stdout).text()).toMatch(
    /^image\ndyno\ntouch: .*Read-only file system\nheroku-2\d yes\n$/,
  );
  const inside = person.start(["ps:exec", "-a", app.name, "--", look]);
  expect(await new Response(inside.stdout).text()).toMatch(
    /^image\ndyno\ntouch: .*Read-only file system\nheroku-2\d yes\n$/,
  );

  const releases = await app.api<{ version: number; slug: object | null; current: boolean }[]>(
    "GET",
    "/releases",
  );
  const old = releases.findLast(({ slug, current }) => slug !== null && !current);
  await ok("rollback", `v${old?.version}`, "-a", app.name);
  await until("it is back on the host", async () => (await says(app)).endsWith(" host yes one"));
  expect(await stackOf(app)).toEqual(["host", "deb"]);

  expect(await refused("stacks:remove", "deb")).toContain(
    `The stack deb is the stack of ${app.name}. Set another one first: stator stack:set host -a ${app.name}`,
  );
  await ok("stack:set", "host", "-a", app.name);
  expect(await refused("stacks:remove", "deb")).toContain("which they can still go back to");
});

test("dynos go on through a crash and a restart of the server, and start again on their image", async () => {
  const app = await makeApp({ "app.json": '{"stack": "deb"}' });
  const { text } = await app.push();
  expect(text).toContain("Building on the Deb stack");
  expect(await stackOf(app)).toEqual(["deb", "deb"]);
  const [dyno] = await app.api<{ id: string }[]>("GET", "/dynos");
  await stator.kill("SIGKILL");
  await stator.restart();
  expect(await says(app)).toMatch(/ image yes one$/);
  expect(await app.api<{ id: string }[]>("GET", "/dynos")).toMatchObject([{ id: dyno?.id }]);
  await app.api("DELETE", "/dynos");
  await until("another dyno answers", async () => {
    const [now] = await app.api<{ id: string; state: string }[]>("GET", "/dynos");
    return now?.id !== dyno?.id && now?.state === "up" && / image /.test(await says(app));
  });
});

test("an app.json that asks for what is not here builds for the stack there is", async () => {
  const app = await makeApp({ "app.json": '{"stack": "nowhere-24"}' });
  const { text } = await app.push();
  expect(text).toContain(
    'app.json asks for the stack "nowhere-24", which is not here; this build is for host.',
  );
  expect(text).toContain("Verifying deploy... done.");
});

test("an OCI folder, and a registry, become stacks that are called what they are", async () => {
  await ok("stacks:add", "heroku-24", "--from", `oci:${oci}:latest`);
  await registry.push(`${oci}:latest`, "heroku/heroku:24");
  const reference = `docker://${registry.address}/heroku/heroku:24`;
  const again = await ok("stacks:add", "from-registry", "--from", reference, "--insecure");
  expect(again.err).toContain(`Getting ${reference}`);
  const all = await stator.api<{ name: string; image: { digest: string } | null }[]>(
    "GET",
    "/stacks",
  );
  const digest = (name: string) => all.find((one) => one.name === name)?.image?.digest;
  expect(digest("heroku-24")).toBe(digest("from-registry"));
  const app = await makeApp();
  await ok("stack:set", "heroku-24", "-a", app.name);
  const { text } = await app.push();
  expect(text).toContain("Building on the Heroku-24 stack");
  expect(text).toContain("STACK is heroku-24, on Debian of an image");
  expect(await says(app)).toBe("heroku-24 image yes one");
  // The name gets another image: what runs, and what one can go back to, stays on the old one.
  await ok("stacks:add", "heroku-24", "--from", root);
  await app.api("DELETE", "/dynos");
  await until("it starts again", async () => (await says(app)) === "heroku-24 image yes one");
  const images = () => readdirSync(join(stator.dataDir, "box/images")).length;
  expect(images()).toBe(2);
  await ok("stacks:remove", "from-registry");
  expect(images()).toBe(2);
});

test("builds can have an image of their own, which dynos do not see", async () => {
  const layer = join(stator.work, "layer.tar");
  await Bun.write(layer, await tarOf([[{ name: marker.slice(1) }, "build\n"]]));
  const image = `${oci}:latest`;
  await execOk(["umoci", "raw", "add-layer", "--image", image, "--tag", "build", layer]);
  await ok("stacks:add", "two", "--from", root, "--build-from", `oci:${oci}:build`);
  const app = await makeApp();
  await ok("stack:set", "two", "-a", app.name);
  expect(await stackOf(app)).toEqual(["two", "two"]);
  const { text } = await app.push();
  expect(text).toContain("Building on the Two stack");
  expect(await says(app)).toMatch(/ image yes one$/);
  expect(await says(app, "/built-on")).toBe("build");
});

test("what is no stack is refused by name, and nothing of it is left", async () => {
  const before = readdirSync(join(stator.dataDir, "box/images")).sort();
  const hostile = join(stator.work, "hostile");
  await writeOciImage(hostile, { layers: [[[{ name: "srv/sda", type: "block-device" }]]] });
  expect(await refused("stacks:add", "bad", "--from", `oci:${hostile}`)).toContain(
    `oci:${hostile} is refused: "srv/sda" is a block-device.`,
  );
  const empty = join(stator.work, "empty");
  await writeOciImage(empty, { layers: [[[{ name: "etc/x" }, "x"]]] });
  expect(await refused("stacks:add", "bad", "--from", `oci:${empty}`)).toContain(
    "The image cannot be a stack: dynos are started by its bash, which does not run",
  );
  const wrong = `sha256:${"0".repeat(64)}`;
  expect(await refused("stacks:add", "bad", "--from", root, "--digest", wrong)).toMatch(
    /The image's digest is sha256:[0-9a-f]{64}, not sha256:0{64}\./,
  );
  const closed = "docker://127.0.0.1:1/x:y";
  expect(await refused("stacks:add", "bad", "--from", closed)).toContain(
    `Cannot get ${closed}: pinging container registry 127.0.0.1:1:`,
  );
  expect(await refused("stacks:add", "host", "--from", root)).toContain("The name host is taken.");
  expect(await refused("stacks:add", "No Name", "--from", closed)).toContain("A stack's name has");
  expect(await refused("stacks:remove", "host")).toContain("The stack host is always there.");
  expect(await refused("stacks:remove", "nope")).toContain("Couldn't find that stack");
  expect(readdirSync(join(stator.dataDir, "box/images")).sort()).toEqual(before);
  expect(readdirSync(join(stator.dataDir, "sources"))).toEqual([]);
  await stator.api("GET", "/stacks/bad").then(
    () => expect("found").toBe("not found"),
    (error: Error) => expect(error.message).toContain("404"),
  );
});
