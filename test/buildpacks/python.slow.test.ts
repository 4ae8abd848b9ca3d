import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { openBench, type Bench } from "../helpers/buildpack-bench.ts";

setDefaultTimeout(60_000);
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
