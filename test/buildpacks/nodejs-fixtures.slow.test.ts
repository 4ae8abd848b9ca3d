import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../src/lib/free-port.ts";
import { openBench, type Bench } from "../helpers/buildpack-bench.ts";
import { run } from "../helpers/run.ts";

type Expectation = {
  path: string;
  status: number;
  body?: string;
  bodyIncludes?: string;
  websocket?: { path: string; send: string; receive: string };
};

const apps = join(import.meta.dir, "../fixtures/apps");

let bench: Bench;

beforeEach(async () => {
  bench = await openBench("nodejs");
  bench.useHostNode();
});

afterEach(async () => {
  await bench.close();
});

for (const name of [
  "plain-http",
  "express",
  "typescript",
  "websocket-echo",
  "yarn",
  "pnpm",
  "bun",
]) {
  test(`${name} is built, started and asked`, async () => {
    await bench.useFixture(name);
    const { status, stdout } = await bench.compile();
    expect(stdout).toEndWith("-----> Build succeeded!\n");
    expect(status).toBe(0);
    await askApp(await Bun.file(join(apps, name, "expect.json")).json());
  });
}

const pruned: Record<string, string> = {
  typescript: "typescript",
  yarn: "is-odd",
  pnpm: "is-odd",
  bun: "is-odd",
};
for (const [name, development] of Object.entries(pruned)) {
  test(`${name}: devDependencies are gone after the build, and a second build works from the cache`, async () => {
    await bench.useFixture(name);
    await bench.compile();
    expect(await bench.exists("app/node_modules/ms/package.json")).toBe(true);
    expect(await bench.exists(`app/node_modules/${development}/package.json`)).toBe(false);
    await bench.useFixture(name);
    const { status, stdout } = await bench.compile();
    expect(stdout).toContain("store\n");
    expect(status).toBe(0);
  });
}

const stale: Record<string, string> = { typescript: "npm", yarn: "yarn", pnpm: "pnpm", bun: "bun" };
for (const [name, manager] of Object.entries(stale)) {
  test(`${manager}: a lock file that does not fit package.json fails the build, with the way out`, async () => {
    await bench.useFixture(name);
    const packageJson = JSON.parse(await bench.read("app/package.json"));
    packageJson.dependencies["is-number"] = "7.0.0";
    await bench.write("app/package.json", packageJson);
    const { status, stdout } = await bench.compile();
    expect(status).toBe(1);
    expect(stdout).toContain(`do not fit together: run \`${manager} install\``);
  });
}

test("npm in the version that engines asks for is installed into the slug", async () => {
  await bench.useFixture("plain-http");
  await bench.write("app/package.json", { engines: { node: ">=18", npm: "10.8.2" } });
  expect((await bench.compile()).stdout).toContain("Using npm 10.8.2");
  expect(await inDyno("npm --version")).toBe("10.8.2\n");
});

test("yarn 4 installs, and prunes what only the build needs", async () => {
  await bench.useFixture("yarn");
  await run(["rm", bench.path("app/yarn.lock")]);
  const packageJson = JSON.parse(await bench.read("app/package.json"));
  const berry = { ...packageJson, engines: { node: ">=18" }, packageManager: "yarn@4.9.2" };
  await bench.write("app/package.json", berry);
  await bench.write("app/.yarnrc.yml", "nodeLinker: node-modules\n");
  // The first build has no lock file, so it makes one.
  const first = await bench.compile();
  expect(first.stdout).toContain("Using yarn 4.9.2");
  expect(first.status).toBe(0);
  expect(await bench.read("app/yarn.lock")).toContain("__metadata:");
  expect(await bench.exists("app/node_modules/is-odd/package.json")).toBe(false);

  const second = await bench.compile();
  expect(second.stdout).toContain("Installing node modules (yarn.lock)");
  expect(second.status).toBe(0);
  expect(await inDyno("yarn --version")).toBe("4.9.2\n");
});

test("the apps run on the Node.js that Debian 12 and Ubuntu 24.04 bring, so nothing is downloaded for them", async () => {
  const files = [...new Bun.Glob("*/package.json").scanSync(apps)];
  expect(files.length).toBeGreaterThanOrEqual(6);
  for (const file of files) {
    const { engines } = (await Bun.file(join(apps, file)).json()) as { engines: { node: string } };
    expect(`${file}: ${Bun.semver.satisfies("18.19.1", engines.node)}`).toBe(`${file}: true`);
  }
});

test("no lock file of the apps names a package registry", async () => {
  const names = await readdir(apps, { recursive: true });
  const locks = names.filter((name) =>
    /(^|\/)(package-lock\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lock)$/.test(name),
  );
  expect(locks.length).toBeGreaterThanOrEqual(5);
  const texts = await Promise.all(
    locks.map(async (name) => await Bun.file(join(apps, name)).text()),
  );
  expect(texts.filter((text) => /resolved|tarball|registry/.test(text))).toEqual([]);
});

async function inDyno(command: string): Promise<string> {
  const script = `for f in "$HOME"/.profile.d/*.sh; do . "$f"; done; cd "$HOME"; ${command}`;
  const env = { ...bench.env, HOME: bench.path("app") };
  return (await run(["bash", "-c", script], { env })).stdout;
}

/** Starts the app as a dyno would and compares its answer with the app's expect.json. */
async function askApp(expected: Expectation): Promise<void> {
  const port = freePort();
  const procfile = (await bench.exists("app/Procfile")) ? await bench.read("app/Procfile") : "";
  const command = /^web: (.+)$/m.exec(procfile)?.[1] ?? "npm start";
  const script = `for f in "$HOME"/.profile.d/*.sh; do . "$f"; done; cd "$HOME"; exec ${command}`;
  const app = Bun.spawn(["bash", "-c", script], {
    env: { ...bench.env, HOME: bench.path("app"), PORT: String(port) },
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
  try {
    const response = await fetchWhenUp(`http://127.0.0.1:${port}${expected.path}`);
    const body = await response.text();
    expect(response.status).toBe(expected.status);
    if (expected.body !== undefined) expect(body).toBe(expected.body);
    if (expected.bodyIncludes !== undefined) expect(body).toContain(expected.bodyIncludes);
    if (expected.websocket) {
      const { path, send, receive } = expected.websocket;
      expect(await echo(`ws://127.0.0.1:${port}${path}`, send)).toBe(receive);
    }
  } finally {
    // As in a dyno, every process gets the signal: npm does not hand it on to the app.
    process.kill(-app.pid, "SIGTERM");
    await app.exited;
  }
}

async function fetchWhenUp(address: string): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await fetch(address, { keepalive: false });
    } catch (error) {
      if (attempt === 2_000) throw error;
      await Bun.sleep(50);
    }
  }
}

async function echo(address: string, text: string): Promise<unknown> {
  const socket = new WebSocket(address);
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  socket.addEventListener("open", () => socket.send(text));
  socket.addEventListener("message", ({ data }) => resolve(data));
  socket.addEventListener("error", () => reject(new Error(`no WebSocket at ${address}`)));
  return await promise.finally(() => socket.close());
}
