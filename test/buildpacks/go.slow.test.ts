import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBench, type Bench } from "../helpers/buildpack-bench.ts";
import { run } from "../helpers/run.ts";

let bench: Bench;
/** Go's own packages are compiled once for all tests. */
const compiled = mkdtempSync(join(tmpdir(), "go-compiled-"));
beforeEach(async () => {
  bench = await openBench("go");
  bench.useStack();
  await bench.write("cache/go/made", "");
  symlinkSync(compiled, bench.path("cache/go/build"));
});
afterEach(() => bench.close());
afterAll(() => rmSync(compiled, { recursive: true, force: true }));

const main = 'package main\n\nfunc main() { println(word) }\n\nvar word = "plain"\n';
const module = "module example.com/app\n\ngo 1.26\n";

async function build(files: Record<string, string>) {
  for (const [file, text] of Object.entries(files)) await bench.write(file, text);
  return bench.compile();
}
const said = async (program: string) => (await run([bench.path("app/bin", program)])).stderr;

for (const file of ["go.mod", "Gopkg.lock", "Godeps/Godeps.json", "glide.yaml", "src/a/b/c.go"])
  test(`an app with ${file} is a Go app`, async () => {
    await bench.write(`app/${file}`, "");
    expect(await bench.detect()).toMatchObject({ status: 0, stdout: "Go\n" });
  });

test("an app without any of them is none", async () => {
  await bench.write("app/c.go", "");
  expect(await bench.detect()).toMatchObject({ status: 1, stdout: "" });
});

const refused: [what: string, files: Record<string, string>, message: string][] = [
  ["an app from before modules", { "app/glide.yaml": "" }, "go mod init && go mod tidy"],
  [
    "a version that is none",
    { "app/go.mod": module, "env/GOVERSION": "latest" },
    "the config var GOVERSION asks for Go 'latest', which is no version as",
  ],
  [
    "a line of versions that there is not",
    { "app/go.mod": module, "env/GOVERSION": "go1.999" },
    "There is no Go 1.999; the newest is 1.",
  ],
  [
    "an option in the place of a package",
    { "app/go.mod": module, "env/GO_INSTALL_PACKAGE_SPEC": "-toolexec=/bin/true ." },
    "What is to be installed must be packages; '-toolexec=/bin/true' is none.",
  ],
  [
    "code that is none",
    { "app/go.mod": module, "app/main.go": "package main\n\nfunc main() { nothing() }\n" },
    "undefined: nothing",
  ],
  ["a broken go.mod", { "app/go.mod": `${module}nonsense\n` }, "can't be listed"],
  [
    "a package that is not there",
    { "app/go.mod": `${module}// +heroku install ./cmd/nothing\n` },
    "failed with status 1.",
  ],
  [
    "dependencies in vendor that are not those of go.mod",
    {
      "app/go.mod": `${module}require example.com/other v1.0.0\n`,
      "app/vendor/modules.txt": "",
      "app/main.go": main,
    },
    "inconsistent vendoring",
  ],
  [
    "a hook that fails before",
    { "app/go.mod": module, "app/bin/go-pre-compile": "exit 3\n" },
    "`go-pre-compile ` failed with status 3.",
  ],
  [
    "a hook that fails after",
    { "app/go.mod": module, "app/main.go": main, "app/bin/go-post-compile": "exit 4\n" },
    "`go-post-compile ` failed with status 4.",
  ],
];
for (const [what, files, message] of refused)
  test(`${what} ends the build with what to do`, async () => {
    const { status, stdout, stderr } = await build(files);
    expect(stdout + stderr).toContain(message);
    expect(status).toBe(1);
  });

test("the newest of a line is fetched by the stack's Go, and kept in the cache", async () => {
  const files = { "app/go.mod": "module example.com/app\n\ngo 1.25.1\n", "app/main.go": main };
  const first = await build(files);
  expect(first.stdout).toContain("-----> Using Go 1.25.1 specified in go.mod\n");
  const version = /Using Go (1\.25\.\d+), fetched and verified by Go \S+ of the stack/.exec(
    first.stdout,
  )?.[1];
  expect(Number(version?.split(".")[2])).toBeGreaterThan(1);
  expect(first.stdout).toContain("       No cache yet.\n");
  expect(first.status).toBe(0);
  expect(await said("app")).toBe("plain\n");
  expect((await run(["grep", "-c", `go${version}`, bench.path("app/bin/app")])).status).toBe(0);
  const second = await bench.compile();
  expect(second.stdout).toContain("Using modules and compiled packages from the cache");
  expect(second.stdout).not.toContain("downloading");
  const exact = await build({
    "app/go.mod": "module example.com/app\n\ngo 1.25\n// +heroku goVersion go1.25.3\n",
  });
  expect(exact.stdout).toContain("Using Go 1.25.3 specified in go.mod (+heroku goVersion)");
  expect(exact.stdout).toContain("Cache dropped");
  expect(exact.status).toBe(0);
});

test("one program is the web process, of several each is its own, and a Procfile stays as it is", async () => {
  await build({ "app/go.mod": module, "app/main.go": main });
  expect(await bench.read("app/Procfile")).toBe("web: bin/app\n");
  await bench.write("app/Procfile", "web: bin/app --fast\n");
  await bench.compile();
  expect(await bench.read("app/Procfile")).toBe("web: bin/app --fast\n");
  await bench.useFixture("go-several");
  const { stdout } = await bench.compile();
  expect(stdout).toContain(
    "No Procfile: using unused: bin/unused, web: bin/web, worker: bin/worker",
  );
});

test("`+heroku install` says what is installed, GO_INSTALL_PACKAGE_SPEC says it louder", async () => {
  await bench.useFixture("go-several");
  const mod = await bench.read("app/go.mod");
  await build({ "app/go.mod": `${mod}\n// +heroku install ./cmd/web ./cmd/worker\n` });
  expect(await bench.read("app/Procfile")).toBe("web: bin/web\nworker: bin/worker\n");
  expect(existsSync(bench.path("app/bin/unused"))).toBe(false);
  await bench.useFixture("go-several");
  await build({ "env/GO_INSTALL_PACKAGE_SPEC": "./cmd/unused" });
  expect(await bench.read("app/Procfile")).toBe("web: bin/unused\n");
});

test("dependencies in vendor are used, and nothing is fetched", async () => {
  const { stdout, status } = await build({
    "app/go.mod": `${module}\nrequire example.com/word v1.0.0\n`,
    "app/main.go":
      'package main\n\nimport "example.com/word"\n\nfunc main() { println(word.Word) }\n',
    "app/vendor/modules.txt": "# example.com/word v1.0.0\n## explicit; go 1.20\nexample.com/word\n",
    "app/vendor/example.com/word/word.go": 'package word\n\nconst Word = "vendored"\n',
    "env/GOPROXY": "off",
  });
  expect(stdout).toContain("       Using the dependencies in vendor\n");
  expect(status).toBe(0);
  expect(await said("app")).toBe("vendored\n");
});

test("only what is Go's of the config vars reaches the build; the linker sets a word, tags say where it is", async () => {
  const { stdout, status } = await build({
    "app/go.mod": module,
    "app/main.go": main,
    "app/tagged.go": '//go:build heroku\n\npackage main\n\nfunc init() { println("on heroku") }\n',
    "app/bin/go-pre-compile": 'echo "pre [${SECRET:-}] [$CGO_CFLAGS]"\n',
    "app/bin/go-post-compile": "bin/app 2>&1\n",
    "env/SECRET": "xyzzy",
    "env/CGO_CFLAGS": "-O1",
    "env/GO_LINKER_SYMBOL": "main.word",
    "env/GO_LINKER_VALUE": "linked",
  });
  expect(stdout).toContain("       pre [] [-O1]\n");
  expect(stdout).toContain(
    "-----> Running bin/go-post-compile hook\n       on heroku\n       linked\n",
  );
  expect(status).toBe(0);
  expect((await run(["grep", "-c", bench.path("app"), bench.path("app/bin/app")])).stdout).toBe(
    "0\n",
  );
});

test("Go and the modules are put into the slug when the app asks for them", async () => {
  const { status } = await build({
    "app/go.mod": module,
    "app/main.go": main,
    "env/GO_INSTALL_TOOLS_IN_IMAGE": "true",
  });
  expect(status).toBe(0);
  const { stdout } = await run(["sh", "-c", ". .profile.d/go.sh && command -v go && go version"], {
    env: { HOME: bench.path("app"), PATH: "/usr/bin:/bin" },
    cwd: bench.path("app"),
  });
  expect(stdout).toStartWith(`${bench.path("app/.heroku/go/bin/go")}\ngo version go1.26`);
});

test("a module without a program is built, and told to have none", async () => {
  const { stdout, status } = await build({ "app/go.mod": module, "app/word.go": "package word\n" });
  expect(stdout).toContain("No package main was found in this module");
  expect(status).toBe(0);
  expect(await bench.exists("app/Procfile")).toBe(false);
});
