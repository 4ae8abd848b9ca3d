import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { exec, execOk, hostEnvironment } from "../../src/lib/exec.ts";
import { startPebble } from "../certs/pebble.ts";
import { debianRoot, marker } from "../helpers/debian-root.ts";
import { freePorts } from "../helpers/free-ports.ts";
import { startOutsideServer } from "../helpers/outside-server.ts";
import {
  findProcesses,
  probeFiles,
  repositoryRoot,
  startStator,
  type StatorServer,
  until,
} from "../helpers/stator-server.ts";
import { askOverTls } from "../helpers/tls-client.ts";

let folder = "";
let binary = "";
/** A folder with settings of somebody else's: none of them may have an effect. */
let foreign = "";
let stator: StatorServer | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stator-binary-"));
  binary = join(folder, "stator");
  const built = await exec([process.execPath, "src/bundle/binary.ts", "--outfile", binary], {
    cwd: repositoryRoot,
    env: { PATH: hostEnvironment.PATH, HOME: folder },
  });
  expect(built.stderr).toBe("");
  expect(built.exitCode).toBe(0);
  foreign = join(folder, "foreign");
  mkdirSync(foreign);
  const files = {
    ".env": "STATOR_DOMAIN=foreign.example\nSTATOR_HTTP_PORT=nonsense\nSTATOR_APP=foreign\n",
    ".env.local": "STATOR_DOMAIN=foreign.example\n",
    "bunfig.toml": 'preload = ["./preload.ts"]\n[run]\npreload = ["./preload.ts"]\n',
    "preload.ts": 'await Bun.write(import.meta.dir + "/preloaded", "yes");\n',
    "package.json": '{ "name": "foreign", "type": "commonjs" }',
    "tsconfig.json": "{ nonsense",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(foreign, name), text);
});
afterAll(async () => {
  await stator?.stop();
  rmSync(folder, { recursive: true });
});

test("the binary stands alone: it serves a push from a folder with foreign settings, and ignores them", async () => {
  stator = await startStator({ program: [binary], cwd: foreign });
  expect(stator.credentials.api).toBe(`http://api.localhost:${stator.port}`);
  const app = await stator.createApp(probeFiles("binary", { ".env": "STATOR_DOMAIN=app.example" }));
  const pushed = await app.push();
  expect(pushed.text).toContain("Verifying deploy... done.");
  expect(await (await app.get()).text()).toBe("version binary");
  expect(existsSync(join(foreign, "preloaded"))).toBe(false);
  const programs = findProcesses(stator.dataDir).map(({ argv }) => argv[0] as string);
  expect(programs.filter((program) => /\bbun\b/.test(program))).toEqual([]);
});

/** Buildpacks are programs of the shell or of Bun; both call the toolbox. */
const callsToolbox = `toolbox satisfies 1.2.3 '>=1' &&
  bun -e 'process.exit(Bun.spawnSync(["toolbox", "satisfies", "1.2.3", ">=1"]).exitCode)'`;

test("the binary makes a stack of an image, and builds and runs an app on it, its toolbox among what builds have", async () => {
  const server = stator as StatorServer;
  const env = {
    ...{ PATH: hostEnvironment.PATH, HOME: folder },
    ...{ STATOR_API: server.credentials.api, STATOR_API_KEY: server.credentials.token },
  };
  const added = await exec([binary, "stacks:add", "deb", "--from", await debianRoot()], { env });
  expect([added.exitCode, added.stderr]).toEqual([0, expect.stringContaining("done\n")]);
  const app = await server.createApp({
    "bin/detect": "#!/bin/sh\necho Own\n",
    "bin/compile": `#!/bin/sh\n${callsToolbox} && cp ${marker} "$1/built-on"\n`,
    Procfile: `web: cp ${marker} runs-on && exec python3 -m http.server $PORT\n`,
  });
  await exec(["chmod", "755", join(app.folder, "bin/detect"), join(app.folder, "bin/compile")]);
  await app.commit();
  const set = await exec([binary, "stack:set", "deb", "--app", app.name], { env });
  expect([set.exitCode, set.stderr]).toEqual([0, expect.stringContaining("deb")]);
  const pushed = await app.push();
  expect(pushed.text).toContain("-----> Building on the Deb stack\n");
  expect(pushed.text).toContain("Verifying deploy... done.");
  for (const path of ["/built-on", "/runs-on"]) expect((await app.get(path)).status).toBe(200);
});

test("where the machine's Node.js does not fit, the binary's builds fetch another one", async () => {
  const version = "22.11.0";
  const name = `node-v${version}-linux-${process.arch}`;
  const outside = await startOutsideServer();
  try {
    const file = (...parts: string[]) => outside.path("node", ...parts);
    const unpacked = join(folder, name);
    const programs = { "bin/node": `echo v${version}`, "lib/node_modules/npm/bin/npm-cli.js": "" };
    for (const [path, script] of Object.entries(programs)) {
      mkdirSync(dirname(join(unpacked, path)), { recursive: true });
      writeFileSync(join(unpacked, path), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    writeFileSync(
      join(unpacked, "lib/node_modules/npm/package.json"),
      '{ "name": "npm", "version": "11.6.2" }',
    );
    symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(unpacked, "bin/npm"));
    mkdirSync(file(`v${version}`), { recursive: true });
    const archive = file(`v${version}`, `${name}.tar.gz`);
    await execOk(["tar", "-czf", archive, "-C", folder, name]);
    const sum = (await execOk(["sha256sum", archive])).slice(0, 64);
    writeFileSync(file(`v${version}`, "SHASUMS256.txt"), `${sum}  ${name}.tar.gz\n`);
    const files = [`linux-${process.arch}`];
    const index = [{ version: `v${version}`, files, lts: false }];
    writeFileSync(file("index.json"), JSON.stringify(index));

    const server = stator as StatorServer;
    await server.kill("SIGKILL");
    await server.restart({ variables: { STATOR_NODE_MIRROR: `${outside.address}/node` } });
    const app = await server.createApp({
      "package.json": JSON.stringify({ name: "app", version: "1.0.0", engines: { node: version } }),
      Procfile: "web: node --version >version && exec python3 -m http.server $PORT\n",
    });
    const pushed = await app.push();
    expect(pushed.text).toContain(`SHA-256 ${sum} verified.\n`);
    expect(pushed.text).toContain("Verifying deploy... done.");
    expect(await (await app.get("/version")).text()).toBe(`v${version}\n`);
  } finally {
    await outside.stop();
  }
});

test("the binary has in it what it loads only to fetch certificates", async () => {
  const server = stator as StatorServer;
  await using pebble = await startPebble({ httpPort: server.port });
  const [httpsPort = 0] = freePorts(1);
  await server.kill("SIGKILL");
  await server.restart({
    flags: ["--stop-dynos", "--https", String(httpsPort)],
    variables: {
      STATOR_ACME_DIRECTORY: pebble.directoryUrl,
      STATOR_ACME_CA_BUNDLE: pebble.caBundlePath,
      STATOR_ACME_DNS_SERVERS: pebble.dnsServer,
      STATOR_ACME_HTTP_PORT: String(server.port),
    },
  });
  await until("it has one", async () => {
    const { certificate } = await askOverTls(httpsPort, "api.localhost");
    return certificate.issuer.includes("Pebble");
  });
});

test("the binary's other commands ignore them too", async () => {
  for (const args of [["--help"], ["help", "server"], ["server", "--help"]] as const) {
    const env = { PATH: hostEnvironment.PATH, HOME: folder };
    const { exitCode, stdout, stderr } = await exec([binary, ...args], { cwd: foreign, env });
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    expect(stdout).toContain("stator");
    expect(stdout).not.toContain("foreign");
  }
  expect(existsSync(join(foreign, "preloaded"))).toBe(false);
});
