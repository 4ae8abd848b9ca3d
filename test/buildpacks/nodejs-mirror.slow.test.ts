import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp } from "node:fs/promises";
import { openBench, type Bench } from "../helpers/buildpack-bench.ts";
import { run } from "../helpers/run.ts";

const platform = `linux-${process.arch}`;
const versions = ["22.11.0", "24.19.0", "26.3.0"];

let bench: Bench;
let mirror: Awaited<ReturnType<typeof openMirror>>;

beforeEach(async () => {
  bench = await openBench("nodejs");
  mirror = await openMirror(bench);
  bench.env["STATOR_NODE_MIRROR"] = `${mirror.address}/`;
});

afterEach(async () => {
  await mirror.close();
  await bench.close();
});

test("the newest version in the range is downloaded, verified and put into the slug", async () => {
  await ask("22.x");
  const { status, stdout } = await bench.compile();
  expect(stdout).toContain(
    `Downloading ${mirror.address}/v22.11.0/node-v22.11.0-${platform}.tar.gz`,
  );
  expect(stdout).toContain(`SHA-256 ${mirror.sumOf("22.11.0")} verified.`);
  expect(status).toBe(0);
  expect(await bench.exists("app/.heroku/node/bin/node")).toBe(true);

  const dyno = { PATH: bench.path("bin"), HOME: bench.path("app") };
  const profile = '. "$HOME/.profile.d/nodejs.sh"; node --version; echo "$NODE_HOME $NODE_ENV"';
  const { stdout: shown } = await run(["bash", "-c", profile], { env: dyno });
  expect(shown).toBe(`v22.11.0\n${bench.path("app")}/.heroku/node production\n`);

  const exported = ["bash", "-c", '. "$1"; node --version', "bash", bench.path("buildpack/export")];
  expect((await run(exported, { env: dyno })).stdout).toBe("v22.11.0\n");
});

test("an app that names no version gets the default, and a wide range stays on the Active LTS", async () => {
  for (const engine of [undefined, ">=18", "latest"]) {
    await ask(engine);
    expect((await bench.compile()).status).toBe(0);
    expect(await bench.exists(`cache/node/node-v24.19.0-${platform}.tar.gz`)).toBe(true);
  }
});

test("NODEJS_ALLOW_WIDE_RANGE lets a wide range reach the newest", async () => {
  await ask(">=18");
  await bench.write("env/NODEJS_ALLOW_WIDE_RANGE", "true");
  expect((await bench.compile()).stdout).toContain("node-v26.3.0");
});

test("the second build takes the archive from the cache, checked once more", async () => {
  await ask("24.x");
  await bench.compile();
  const again = await bench.compile();
  expect(again.stdout).toContain("Using Node.js 24.19.0 from the cache.");
  expect(mirror.downloads()).toBe(1);

  await bench.write(`cache/node/node-v24.19.0-${platform}.tar.gz`, "tampered with");
  expect((await bench.compile()).status).toBe(0);
  expect(mirror.downloads()).toBe(2);
});

test("a build goes on from the cache while the mirror is away, and forgets other versions", async () => {
  await ask("22.x");
  await bench.compile();
  await ask("24.x");
  await bench.compile();
  expect(await bench.exists(`cache/node/node-v22.11.0-${platform}.tar.gz`)).toBe(false);
  bench.env["STATOR_NODE_MIRROR"] = "http://127.0.0.1:1";
  const { status, stdout } = await bench.compile();
  expect(stdout).toContain("using the cache");
  expect(status).toBe(0);
});

test("an archive with another SHA-256 is refused and not unpacked", async () => {
  await ask("24.19.0");
  mirror.tamper();
  const { status, stdout } = await bench.compile();
  expect(status).toBe(1);
  expect(stdout).toContain("is not the file that its vendor announced, so it was not unpacked.");
  expect(stdout).toContain(`SHA-256 expected: ${mirror.sumOf("24.19.0")}`);
  expect(await bench.exists("app/.heroku/node/bin/node")).toBe(false);
  expect(await bench.exists(`cache/node/node-v24.19.0-${platform}.tar.gz`)).toBe(false);
});

test("a version that the mirror does not have is told at once", async () => {
  await ask("24.99.0");
  const { status, stdout } = await bench.compile();
  expect(status).toBe(1);
  expect(stdout).toContain(" !     Node.js 24.99.0 is not to be had");
  expect(stdout).not.toContain("attempt 2");
});

test("a range without any version names the supported lines", async () => {
  await ask("99.x");
  const { status, stdout } = await bench.compile();
  expect(status).toBe(1);
  expect(stdout).toContain('is in the range "99.x"');
  expect(stdout).toContain("Supported release lines: 22.x, 24.x, 26.x.");
});

test("a download that is cut off is tried again; one cut off for ever fails the build", async () => {
  await ask("24.19.0");
  mirror.cutOff(1);
  const recovered = await bench.compile();
  expect(recovered.stdout).toContain("attempt 2 of 3 follows");
  expect(recovered.status).toBe(0);

  await bench.write(`cache/node/node-v24.19.0-${platform}.tar.gz`, "gone");
  mirror.cutOff(3);
  const failed = await bench.compile();
  expect(failed.stdout).toContain("Node.js 24.19.0 can't be downloaded");
  expect(failed.status).toBe(1);
});

async function ask(engine: string | undefined): Promise<void> {
  await bench.write("app/package.json", engine ? { engines: { node: engine } } : {});
  await bench.write("app/Procfile", "web: node server.js\n");
}

/** A mirror of nodejs.org/dist on loopback, whose node is a shell script. */
async function openMirror(place: Bench) {
  const folder = await mkdtemp(place.path("mirror-"));
  const archives = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const version of versions) {
    const name = `node-v${version}-${platform}`;
    const inside = `${folder.slice(place.path().length + 1)}/${name}`;
    await place.addProgram(`${inside}/bin/node`, `echo v${version}`);
    const npm = `${inside}/lib/node_modules/npm`;
    await place.write(`${npm}/package.json`, { name: "npm", version: "11.6.2" });
    await place.addProgram(`${npm}/bin/npm-cli.js`, "exit 0");
    await run(["ln", "-s", "../lib/node_modules/npm/bin/npm-cli.js", `${folder}/${name}/bin/npm`]);
    await run(["tar", "-czf", `${folder}/${name}.tar.gz`, "-C", folder, name]);
    archives.set(version, await Bun.file(`${folder}/${name}.tar.gz`).bytes());
  }
  const sumOf = (version: string) =>
    new Bun.CryptoHasher("sha256").update(archives.get(version)!).digest("hex");

  let downloads = 0;
  let cutOffs = 0;
  let tampered = false;
  const hangsUp = openServerThatHangsUp();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/index.json") {
        return Response.json(
          versions.map((version) => ({ version: `v${version}`, files: [platform], lts: false })),
        );
      }
      const [, version = "", file] = /^\/v([\d.]+)\/(.+)$/.exec(pathname) ?? [];
      const archive = archives.get(version);
      if (!archive) return new Response("not here", { status: 404 });
      if (file === "SHASUMS256.txt") {
        return new Response(
          `${"0".repeat(64)}  node-v${version}.pkg\n${sumOf(version)}  node-v${version}-${platform}.tar.gz\n`,
        );
      }
      if (cutOffs > 0) {
        cutOffs--;
        return Response.redirect(`http://127.0.0.1:${hangsUp.port}/`);
      }
      downloads++;
      return new Response(tampered ? "something else" : archive);
    },
  });
  return {
    address: `http://127.0.0.1:${server.port}`,
    sumOf,
    downloads: () => downloads,
    tamper: () => (tampered = true),
    cutOff: (times: number) => (cutOffs = times),
    close: async () => {
      hangsUp.stop(true);
      await server.stop(true);
    },
  };
}

/** A server that promises more than it sends, and hangs up. */
function openServerThatHangsUp() {
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end(`${head}only the beginning`) },
  });
}
