import { afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { spawn } from "../../src/lib/exec.ts";
import { type Bench, openBench } from "../helpers/buildpack-bench.ts";
import { packClojureCli } from "../helpers/clojure-cli.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { freePorts } from "../helpers/free-ports.ts";
import { until } from "../helpers/stator-server.ts";
import { startVendorMirror, type VendorMirror } from "../helpers/vendor-mirror.ts";

let bench: Bench;
let mirror: VendorMirror;
beforeAll(() =>
  ensurePrograms({ javac: "openjdk-17-jdk-headless", lein: "leiningen", mvn: "maven" }),
);
beforeEach(async () => {
  bench = await openBench("clojure");
  bench.useStack();
  mirror = startVendorMirror();
  for (const name of ["leiningen", "clojure"])
    bench.env[`STATOR_${name.toUpperCase()}_MIRROR`] = `${mirror.address}/${name}`;
});
afterEach(async () => {
  await mirror.stop();
  await bench.close();
});

const leiningenJar = "/usr/share/java/leiningen-2.10.0.jar";
const offerLeiningen = () =>
  mirror.offerTool(
    bench,
    "leiningen",
    "2.10.0",
    leiningenJar,
    "/leiningen/2.10.0/leiningen-2.10.0-standalone.jar",
  );

for (const file of ["project.clj", "deps.edn"])
  test(`an app with ${file} is a Clojure app`, async () => {
    await bench.write(`app/${file}`, "");
    expect(await bench.detect()).toMatchObject({ status: 0, stdout: "Clojure\n" });
  });

test("an app without any of them is none", async () => {
  await bench.write("app/core.clj", "");
  expect(await bench.detect()).toMatchObject({ status: 1, stdout: "" });
});

const refused: [what: string, files: Record<string, string>, message: string][] = [
  [
    "Leiningen 1",
    { "app/project.clj": '(defproject a "1" :min-lein-version "1.7.1")' },
    "project.clj: :min-lein-version is '1.7.1'. Only Leiningen 2 is there.",
  ],
  [
    "a Leiningen of the future",
    { "app/project.clj": '(defproject a "1" :min-lein-version "2.99.0")' },
    "project.clj: :min-lein-version is '2.99.0', and there is 2.12.0 here.",
  ],
  [
    "another Clojure CLI",
    { "app/deps.edn": "{}", "env/CLOJURE_CLI_VERSION": "1.10.1" },
    "CLOJURE_CLI_VERSION is '1.10.1', and there is",
  ],
  [
    "a Java version that is none",
    { "app/deps.edn": "{}", "app/system.properties": "java.runtime.version=x" },
    "which is no version of Java.",
  ],
  ["a project.clj that is none", { "app/project.clj": "(" }, "Leiningen could not build the app"],
  [
    "a bin/build that fails",
    { "app/project.clj": "", "app/bin/build": "#!/bin/sh\nexit 3\n" },
    "bin/build could not build the app (status 3)",
  ],
  [
    "a BUILD_COMMAND that fails",
    { "app/project.clj": "", "env/BUILD_COMMAND": "exit 4" },
    "BUILD_COMMAND could not build the app (status 4)",
  ],
  [
    "a Clojure CLI that nobody has",
    { "app/deps.edn": "{}" },
    "can't be had. An operator can set STATOR_CLOJURE_MIRROR",
  ],
];
for (const [what, files, message] of refused)
  test(`${what} ends the build with what to do`, async () => {
    for (const [file, text] of Object.entries(files))
      if (file.startsWith("app/bin/")) await bench.addProgram(file, text);
      else await bench.write(file, text);
    const { status, stdout } = await bench.compile();
    expect(stdout).toContain(message);
    expect(status).toBe(1);
  });

test("bin/build comes before BUILD_COMMAND, and that before LEIN_BUILD_TASK; all see the production's settings", async () => {
  await bench.write("app/project.clj", "");
  await bench.addProgram("app/bin/lein", 'echo "lein $*, $RING_ENV, $LEIN_NO_DEV"');
  await bench.write("env/LEIN_BUILD_TASK", "do clean, uberjar");
  expect((await bench.compile()).stdout).toContain(
    "       lein do clean, uberjar, production, yes\n",
  );
  await bench.write("env/BUILD_COMMAND", 'echo "by command $RING_ENV"');
  expect((await bench.compile()).stdout).toContain("       by command production\n");
  await bench.addProgram("app/bin/build", 'echo "by the app"');
  expect((await bench.compile()).stdout).toContain("       by the app\n");
});

test("Leiningen is downloaded, verified and kept where the stack has none, and goes into the slug of an app that it runs", async () => {
  bench.env["STACK_PATH"] = bench.path("nowhere");
  await bench.useFixture("clojure-lein");
  await offerLeiningen();
  const uberjar = await bench.compile();
  expect(uberjar.stdout).toMatch(
    /Downloading leiningen 2\.10\.0\n +SHA-256 [0-9a-f]{64} verified\n/,
  );
  expect(uberjar.stdout).toContain("clojure-lein-standalone.jar\n");
  expect(uberjar.status).toBe(0);
  expect((await bench.release()).stdout).toContain(
    "  web: java $JVM_OPTS -jar target/clojure-lein-standalone.jar\n",
  );
  expect(existsSync(bench.path("app/.heroku/clojure"))).toBe(false);
  expect(existsSync(bench.path("app/.m2"))).toBe(false);

  const project = (await bench.read("app/project.clj")).replace(/ *:uberjar-name .*\n/, "");
  await bench.write("app/project.clj", project);
  const plain = await bench.compile();
  expect(plain.stdout).toContain("Using leiningen 2.10.0 from the cache (SHA-256 verified)\n");
  expect((await bench.release()).stdout).toContain(
    "  web: lein with-profile production trampoline run\n",
  );
  expect(await served("lein with-profile production trampoline run")).toBe(
    '["hello","clojure","production"]',
  );
});

test("a Leiningen with another checksum is not used", async () => {
  bench.env["STACK_PATH"] = bench.path("nowhere");
  await bench.useFixture("clojure-lein");
  await offerLeiningen();
  mirror.spoil();
  const { status, stdout, stderr } = await bench.compile();
  expect(stderr).toContain("is not the file that was announced");
  expect(stdout).toContain("leiningen 2.10.0 can't be had.");
  expect(stdout).not.toContain("Running:");
  expect(status).toBe(1);
});

test("an app of tools.deps gets its libraries, and is run by its alias :run", async () => {
  await bench.useFixture("clojure-deps");
  const archive = await packClojureCli(bench.path("home/cli"));
  await mirror.offerTool(bench, "clojure", "1.0", archive, "/clojure/1.0/clojure-tools-1.0.tar.gz");
  const first = await bench.compile();
  expect(first.stdout).toContain("-----> Fetching the dependencies\n");
  expect(first.status).toBe(0);
  expect((await bench.release()).stdout).toContain("  web: clojure -M:run\n");
  expect(existsSync(bench.path("app/.m2/repository/org/clojure/data.json/2.5.0"))).toBe(true);
  expect(await served("clojure -M:run")).toBe('["hello","clojure","production"]');
  const again = await bench.compile();
  expect(again.stdout).toContain("Using ~/.m2 of earlier builds from the cache");
  expect(again.stdout).toContain("Using clojure 1.0 from the cache (SHA-256 verified)");
  await bench.write("app/deps.edn", '{:deps {org.clojure/nothing {:mvn/version "0"}}}');
  expect((await bench.compile()).stdout).toContain("The Clojure CLI could not build the app");
});

/** What the app answers when it is started as in a dyno. */
async function served(command: string): Promise<string> {
  const [port] = freePorts(1);
  const start = `. .profile.d/jvm.sh; . .profile.d/clojure.sh; exec ${command}`;
  const child = spawn(["bash", "-c", start], {
    cwd: bench.path("app"),
    env: { PATH: "/usr/bin:/bin", HOME: bench.path("app"), PORT: String(port) },
    ...({ stdout: "ignore", stderr: "ignore" } as const),
  });
  try {
    const address = `http://127.0.0.1:${port}/`;
    await until("the app listens", () =>
      fetch(address).then(
        () => true,
        () => false,
      ),
    );
    return await (await fetch(address)).text();
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}
