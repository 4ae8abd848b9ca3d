import { afterEach, beforeEach, expect, test } from "bun:test";
import { openBench, type Bench } from "../helpers/buildpack-bench.ts";
import { run } from "../helpers/run.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench("python");
  bench.useStack();
});
afterEach(() => bench.close());

for (const file of [
  "requirements.txt",
  "Pipfile",
  "uv.lock",
  "pyproject.toml",
  "requirments.txt",
  "manage.py",
  ".python-version",
])
  test(`an app with ${file} is a Python app`, async () => {
    await bench.write(`app/${file}`, "");
    expect(await bench.detect()).toMatchObject({ status: 0, stdout: "Python\n" });
  });

test("an app without any of them is none", async () => {
  await bench.write("app/index.php", "");
  expect(await bench.detect()).toMatchObject({ status: 1, stdout: "" });
});

const refused: [what: string, files: Record<string, string>, message: string][] = [
  ["no list of packages", { "app.py": "" }, "This app does not say which packages it needs."],
  [
    "two lists of packages",
    { "requirements.txt": "", "uv.lock": "" },
    "Files of several package managers were found: requirements.txt uv.lock.",
  ],
  ["a Pipfile without its lock", { Pipfile: "" }, "There is a Pipfile, but no Pipfile.lock"],
  [
    "a version that is none",
    { "requirements.txt": "", ".python-version": "three\n" },
    ".python-version must have one line with a version as 3.13 or 3.13.2; it says 'three'.",
  ],
  [
    "two versions",
    { "requirements.txt": "", ".python-version": "3.11\n3.12\n" },
    "it says $'3.11\\n3.12'",
  ],
  [
    "a runtime.txt of another kind",
    { "requirements.txt": "", "runtime.txt": "pypy-3.10" },
    "runtime.txt says 'pypy-3.10', which is no version of Python.",
  ],
];
for (const [what, files, message] of refused)
  test(`${what} ends the build with what to do`, async () => {
    for (const [file, text] of Object.entries(files)) await bench.write(`app/${file}`, text);
    const { status, stdout } = await bench.compile();
    expect(stdout).toContain(message);
    expect(status).toBe(1);
  });

async function build(files: Record<string, string>) {
  await bench.write("app/requirements.txt", "");
  for (const [file, text] of Object.entries(files)) await bench.write(file, text);
  return bench.compile();
}

test("the stack's Python is used where it will do, and the slug has only packages", async () => {
  const { stdout, status } = await build({ "app/.python-version": "# ours\n3.11\n" });
  expect(stdout).toContain("-----> Using Python 3.11 specified in .python-version\n");
  expect(stdout).toMatch(/Using Python 3\.11\.\d+ of the stack; only the app's packages/);
  expect(status).toBe(0);
  expect(await bench.exists("app/.heroku/python/pyvenv.cfg")).toBe(true);
  expect(await bench.read("app/.profile.d/python.sh")).toContain("available_memory");
  expect(await bench.read("buildpack/export")).toContain("/app/.heroku/python/bin");
});

test("runtime.txt wins, and is told to be deprecated; the next build without one stays on its line", async () => {
  const first = await build({ "app/runtime.txt": "python-3.11\n", "app/.python-version": "3.99" });
  expect(first.stdout).toContain("runtime.txt is deprecated.");
  expect(first.stdout).toContain("-----> Using Python 3.11 specified in runtime.txt\n");
  await bench.useFixture("python-pip");
  await Bun.file(bench.path("app/.python-version")).delete();
  const second = await build({});
  expect(second.stdout).toContain("Using Python 3.11 specified in the last build");
});

test("hooks see config vars, and neither these nor a bad name harm the build", async () => {
  const { stdout, status } = await build({
    "app/bin/pre_compile": 'echo "pre $GREETING $(command -v python | grep -c heroku)"\n',
    "app/bin/post_compile": 'echo "post $GREETING"\n',
    "env/GREETING": "hello",
    "env/PATH": "/nowhere",
    "env/UID": "0",
    "env/LD_PRELOAD": "/nowhere/evil.so",
  });
  expect(stdout).toContain("-----> Running bin/pre_compile hook\n       pre hello 1\n");
  expect(stdout).toContain("-----> Running bin/post_compile hook\n       post hello\n");
  expect(status).toBe(0);
});

test("a hook that fails ends the build, one that leaves something running does not hold it up", async () => {
  const left = await build({ "app/bin/pre_compile": "sleep 300 &\necho left\n" });
  expect(left.stdout).toContain("       left\n");
  expect(left.status).toBe(0);
  const failed = await build({ "app/bin/pre_compile": "echo no >&2\nexit 3\n" });
  expect(failed.stdout).toContain("       no\n !     `pre_compile ` failed with status 3.\n");
  expect(failed.status).toBe(1);
});

/** A mirror on loopback that has one Python: this machine's own, packed as the vendor packs it. */
async function openMirror(version: string) {
  const work = bench.path("mirror");
  const script = `mkdir -p ${work}/python/bin ${work}/python/lib
cp /usr/bin/python3.11 ${work}/python/bin/python3
cp -r /usr/lib/python3.11 ${work}/python/lib/
mkdir -p ${work}/python/lib/python3/dist-packages
cp -r /usr/lib/python3/dist-packages/pip* ${work}/python/lib/python3/dist-packages/
rm -rf ${work}/python/lib/python3.11/{test,EXTERNALLY-MANAGED}
tar -C ${work} -czf ${work}/python.tar.gz python`;
  expect((await run(["bash", "-ec", script])).stderr).toBe("");
  const archive = await Bun.file(`${work}/python.tar.gz`).bytes();
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const name = `cpython-${version}+20260101-${machine}-unknown-linux-gnu-install_only_stripped.tar.gz`;
  const sum = new Bun.CryptoHasher("sha256").update(archive).digest("hex");
  let downloads = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const path = decodeURIComponent(new URL(request.url).pathname);
      if (path === "/SHA256SUMS") return new Response(`${sum}  ${name}\n`);
      if (path !== `/${name}`) return new Response("none", { status: 404 });
      downloads++;
      return new Response(archive);
    },
  });
  return { address: server.url.origin, downloads: () => downloads, stop: () => server.stop(true) };
}

test("a Python that the stack does not have is downloaded into the slug, and comes from the cache next time", async () => {
  const mirror = await openMirror("3.13.7");
  try {
    bench.env["STATOR_PYTHON_MIRROR"] = mirror.address;
    const first = await build({ "app/.python-version": "3.13\n" });
    expect(first.stderr).toMatch(/SHA-256 [0-9a-f]{64} verified\.\n$/);
    expect(first.stdout).toContain("       Using Python 3.13.7\n");
    expect([first.status, first.status === 0 ? "" : first.stdout]).toEqual([0, ""]);
    const dyno = { PATH: "/usr/bin:/bin", HOME: bench.path("app") };
    const shown =
      '. "$HOME/.profile.d/python.sh"; python -c "import sys; print(sys.prefix, sys.executable)"';
    const home = bench.path("app/.heroku/python");
    expect((await run(["bash", "-c", shown], { env: dyno })).stdout).toBe(
      `${home} ${home}/bin/python\n`,
    );
    await run(["rm", "-rf", bench.path("app/.heroku")]);
    const again = await build({});
    expect(again.stdout).toContain("Restored .heroku/python from the cache");
    expect(again.stdout + again.stderr).toContain("from the cache (SHA-256 verified)");
    expect(again.status).toBe(0);
    expect(mirror.downloads()).toBe(1);
  } finally {
    await mirror.stop();
  }
});
