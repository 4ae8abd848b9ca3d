import { afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { type Bench, openBench } from "../helpers/buildpack-bench.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { packSbtLauncher } from "../helpers/sbt-launcher.ts";
import { startVendorMirror, type VendorMirror } from "../helpers/vendor-mirror.ts";

let bench: Bench;
let mirror: VendorMirror;
beforeAll(() => ensurePrograms({ javac: "openjdk-17-jdk-headless", mvn: "maven" }));
beforeEach(async () => {
  bench = await openBench("scala");
  bench.useStack();
  mirror = startVendorMirror();
  bench.env["STATOR_SBT_MIRROR"] = `${mirror.address}/sbt`;
});
afterEach(async () => {
  await mirror.stop();
  await bench.close();
});

for (const file of ["build.sbt", "project/build.properties", "project/Build.scala"])
  test(`an app with ${file} is a Scala app`, async () => {
    await bench.write(`app/${file}`, "");
    expect(await bench.detect()).toMatchObject({ status: 0, stdout: "Scala\n" });
  });

test("an app without any of them is none", async () => {
  await bench.write("app/Main.scala", "");
  expect(await bench.detect()).toMatchObject({ status: 1, stdout: "" });
});

const properties = "app/project/build.properties";
const refused: [what: string, files: Record<string, string>, message: string][] = [
  ["no version of sbt", { "app/build.sbt": "" }, "The app does not say which sbt builds it."],
  [
    "an sbt that is too old",
    { [properties]: "sbt.version=0.13.9" },
    "project/build.properties: sbt.version is '0.13.9'. There are 1.x, 2.x",
  ],
  [
    "a version that is none",
    { [properties]: "sbt.version=1.0;id" },
    "'1.0;id' is no version of sbt.",
  ],
  [
    "a Java version that is none",
    { [properties]: "sbt.version=1.10.7", "app/system.properties": "java.runtime.version=x" },
    "which is no version of Java.",
  ],
  [
    "an sbt that nobody has",
    { [properties]: "sbt.version=1.10.7" },
    "sbt 1.10.7 can't be had. An operator can set STATOR_SBT_MIRROR",
  ],
];
for (const [what, files, message] of refused)
  test(`${what} ends the build with what to do`, async () => {
    for (const [file, text] of Object.entries(files)) await bench.write(file, text);
    const { status, stdout } = await bench.compile();
    expect(stdout).toContain(message);
    expect(status).toBe(1);
  });

async function offerSbt(): Promise<void> {
  mkdirSync(bench.path("home/pack"));
  const archive = await packSbtLauncher(bench.path("home/pack"));
  await mirror.offerTool(bench, "sbt", "1.10.7", archive, "/sbt/v1.10.7/sbt-1.10.7.tgz");
}

test("an sbt with another checksum is not used", async () => {
  await bench.useFixture("scala");
  await offerSbt();
  mirror.spoil();
  const { status, stdout, stderr } = await bench.compile();
  expect(stderr).toContain("is not the file that was announced");
  expect(stdout).not.toContain("Running:");
  expect(status).toBe(1);
});

test("tasks, the project and options of sbt's JVM are the app's", async () => {
  await bench.write(properties, "# ours\nsbt.version = 1.10.7\r\n");
  await offerSbt();
  // In the place of Java, to see how it is called.
  await bench.addProgram("jdk/bin/java", 'echo "java $*"');
  await bench.addProgram("jdk/bin/javac", "");
  await bench.write("jdk/release", 'JAVA_VERSION="21.0.1"\n');
  mkdirSync(bench.path("stack"));
  bench.env["STACK_JVM"] = bench.path("stack");
  await Bun.$`mv ${bench.path("jdk")} ${bench.path("stack/jdk")}`;
  const usual = await bench.compile();
  expect(usual.stdout).toContain("No Java version was specified: using the stack's 21.0.1\n");
  expect(usual.stdout).toMatch(/java -Xmx1500m -Xss4m .*-jar \S+sbt-launch\.jar compile stage\n/);
  await bench.write("app/.jvmopts", "# memory\n-Xmx1g\n-Dglob=*\n");
  await bench.write("app/.sbtopts", "-J-Xss2m -Dx=y -no-colors\n");
  await bench.write("env/SBT_OPTS", "-Dz=$(id)");
  await bench.write("app/system.properties", "sbt.project=web\nsbt.clean=true\n");
  await bench.write("env/SBT_PRE_TASKS", "update");
  const own = await bench.compile();
  expect(own.stdout).toMatch(
    /java -Xmx1g -Dglob=\* -Xss2m -Dx=y -Dz=\$\(id\) -Dsbt\.color.* clean update web\/compile web\/stage\n/,
  );
  await bench.write("env/SBT_TASKS", "assembly");
  expect((await bench.compile()).stdout).toContain("-----> Running: sbt clean update assembly\n");
});

test("of several start scripts none is the web process, of one it is that", async () => {
  await bench.addProgram("app/target/universal/stage/bin/shop", "");
  await bench.write("app/target/universal/stage/bin/shop.bat", "");
  expect((await bench.release()).stdout).toBe(
    "---\ndefault_process_types:\n  web: target/universal/stage/bin/shop -Dhttp.port=$PORT\n",
  );
  await bench.addProgram("app/target/universal/stage/bin/import", "");
  expect((await bench.release()).stdout).toBe("--- {}\n");
});
