import { afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { execOk } from "../../src/lib/exec.ts";
import { openBench, type Bench } from "../helpers/buildpack-bench.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { type VendorMirror, startVendorMirror } from "../helpers/vendor-mirror.ts";

let bench: Bench;
let mirror: VendorMirror;
beforeAll(() =>
  ensurePrograms({ javac: "openjdk-17-jdk-headless", mvn: "maven", gradle: "gradle" }),
);
beforeEach(async () => {
  bench = await openBench("java");
  bench.useStack();
  mirror = startVendorMirror();
  for (const name of ["JAVA", "ZULU", "MAVEN"])
    bench.env[`STATOR_${name}_MIRROR`] = `${mirror.address}/${name.toLowerCase()}`;
});
afterEach(async () => {
  await mirror.stop();
  await bench.close();
});

/** Puts a program in the place of Maven's wrapper, which tells how it was called. */
async function useWrapper(script = 'echo "called: $*"'): Promise<void> {
  await bench.write("app/pom.xml", "<project/>");
  await bench.write("app/.mvn/wrapper/maven-wrapper.properties", "");
  await bench.addProgram("app/mvnw", script);
}

/** No JDK of the stack's is seen. */
const hideStack = () => (bench.env["STACK_JVM"] = bench.path("nowhere"));

for (const [file, title] of [
  ["pom.xml", "Java"],
  ["pom.yml", "Java"],
  ["gradlew", "Gradle"],
  ["build.gradle", "Gradle"],
  ["settings.gradle.kts", "Gradle"],
] as const)
  test(`an app with ${file} is one of ${title}`, async () => {
    await bench.write(`app/${file}`, "");
    expect(await bench.detect()).toMatchObject({ status: 0, stdout: `${title}\n` });
  });

test("an app without any of them is none", async () => {
  await bench.write("app/Main.java", "");
  expect(await bench.detect()).toMatchObject({ status: 1, stdout: "" });
});

const refused: [what: string, files: Record<string, string>, message: string][] = [
  [
    "a Java version that is none",
    { "pom.xml": "", "system.properties": "java.runtime.version=seventeen" },
    "system.properties: java.runtime.version is 'seventeen', which is no version of Java.",
  ],
  [
    "a Maven that is not there",
    { "pom.xml": "", "system.properties": "maven.version=3.1.1" },
    "system.properties: maven.version is '3.1.1'. There is 3.9.16 here.",
  ],
  [
    "settings for Maven that are not there",
    { "pom.xml": "", ".env/MAVEN_SETTINGS_PATH": "my-settings.xml" },
    "MAVEN_SETTINGS_PATH is 'my-settings.xml', and there is no such file in the app.",
  ],
  ["a pom.xml that is none", { "pom.xml": "<project>" }, "Maven could not build the app"],
  [
    "a Gradle wrapper without its program",
    { gradlew: "#!/bin/sh\n" },
    "gradlew needs gradle/wrapper/gradle-wrapper.jar and .properties",
  ],
  [
    "a task that Gradle does not know",
    { "build.gradle": "", "system.properties": "java.runtime.version=17" },
    "Task 'stage' not found",
  ],
];
for (const [what, files, message] of refused)
  test(`${what} ends the build with what to do`, async () => {
    for (const [file, text] of Object.entries(files))
      await bench.write(file.startsWith(".env/") ? file.slice(1) : `app/${file}`, text);
    const { status, stdout } = await bench.compile();
    expect(stdout).toContain(message);
    expect(status).toBe(1);
  });

test("the wrapper is called as Heroku calls it; options and goals are the app's", async () => {
  await useWrapper();
  const usual = await bench.compile();
  expect(usual.stdout).toMatch(
    /called: -B .*-DoutputFile=target\/mvn-dependency-list\.log .*-DskipTests clean dependency:list install\n/,
  );
  expect(usual.status).toBe(0);
  await bench.write("env/MAVEN_CUSTOM_OPTS", "-Pproduction -Dx=$(id)");
  await bench.write("env/MAVEN_CUSTOM_GOALS", "clean package");
  await bench.write("app/settings.xml", "<settings/>");
  const own = await bench.compile();
  expect(own.stdout).toContain("-s settings.xml -Pproduction -Dx=$(id) clean package\n");
});

test("a build sees config vars, but not a dyno's options for Java", async () => {
  await useWrapper('echo "sees $GREETING [$JAVA_OPTS] $JAVA_TOOL_OPTIONS"');
  await bench.write("env/GREETING", "hello");
  await bench.write("env/JAVA_OPTS", "-Xmx1m");
  await bench.write("env/JAVA_TOOL_OPTIONS", "-javaagent:not-there-yet.jar");
  bench.env["HTTPS_PROXY"] = "http://me:secret@proxy.example:3128";
  bench.env["NO_PROXY"] = "localhost,.example.com";
  const { stdout } = await bench.compile();
  expect(stdout).toContain("sees hello [] -Dfile.encoding=UTF-8");
  expect(stdout).toContain("-Dhttps.proxyHost=proxy.example -Dhttps.proxyPort=3128");
  expect(stdout).toContain("-Dhttp.nonProxyHosts=localhost|*.example.com");
  expect(stdout).not.toContain("javaagent");
  expect(stdout).not.toContain("secret");
});

test("a line of Java that the stack has is the stack's; what it does not have is downloaded and verified", async () => {
  await useWrapper("java -version 2>&1 | head -n 1");
  await bench.write("app/system.properties", "# ours\njava.runtime.version = 17\r\n");
  const stack = await bench.compile();
  expect(stack.stdout).toMatch(/Using OpenJDK 17\.\S+ of the stack; nothing is put into the slug/);
  expect(await bench.exists("app/.jdk/release")).toBe(false);
  expect(await bench.read("app/.profile.d/jvm.sh")).toContain('JAVA_HOME="/usr/lib/jvm/');

  hideStack();
  const sha256 = await mirror.offerJava("17.0.9", 9);
  const first = await bench.compile();
  expect(first.stderr).toContain(`       SHA-256 ${sha256} verified.\n`);
  expect(first.stdout).toContain("this is Java 17.0.9\n");
  expect(first.status).toBe(0);
  expect(await bench.read("app/.profile.d/jvm.sh")).toContain('JAVA_HOME="$HOME/.jdk"');
  expect(await bench.read("buildpack/export")).toContain("/app/.jdk/bin");
  const again = await bench.compile();
  expect(again.stderr).toContain("Using Java 17.0.9+9 from the cache (SHA-256 verified)");
});

test("1.8.0_392 is a version of Java 8, zulu-11 one of Azul's", async () => {
  await useWrapper("java -version 2>&1 | head -n 1");
  hideStack();
  await mirror.offerJava("8.0.392", 8);
  // Its index tells twenty at a time.
  for (let update = 402; update < 424; update++) await mirror.offerJava(`8.0.${update}`, 6);
  await bench.write("app/system.properties", "java.runtime.version=1.8.0_392");
  expect((await bench.compile()).stdout).toContain("this is Java 8.0.392\n");
  await mirror.offerZulu("11.0.21", 9);
  await bench.write("app/system.properties", "java.runtime.version=zulu-11");
  expect((await bench.compile()).stderr).toMatch(/Downloading http:.*\n {7}SHA-256 /);
});

test("without a wish it is the default, and .jdk-overlay is laid over a JDK of the app's own", async () => {
  await useWrapper("java -version 2>&1 | head -n 1");
  await mirror.offerJava("25.0.1", 8);
  await bench.write("app/.jdk-overlay/lib/security/own.policy", "ours");
  const { stdout, stderr } = await bench.compile();
  expect(stdout).toContain("No Java version was specified: using the default, 25\n");
  expect(stderr).toMatch(/Downloading http:.*\n {7}SHA-256 /);
  expect(await bench.read("app/.jdk/lib/security/own.policy")).toBe("ours");
});

for (const [what, spoil, message] of [
  [
    "a wrong checksum",
    () => mirror.spoil(),
    "is not the file that was announced, so it is not unpacked.",
  ],
  ["a version that nobody has", () => mirror.forget(), "No version of Java for linux-"],
  [
    "a mirror that is away",
    () => mirror.breakDown(),
    "An operator without access to it can set STATOR_JAVA_MIRROR",
  ],
] as const)
  test(`${what} ends the build before anything is unpacked`, async () => {
    await useWrapper();
    hideStack();
    await bench.write("app/system.properties", "java.runtime.version=21");
    await mirror.offerJava("21.0.1", 12);
    spoil();
    const { status, stderr, stdout } = await bench.compile();
    expect(stderr).toContain(message);
    expect(stdout).not.toContain("called:");
    expect(await bench.exists("app/.jdk/release")).toBe(false);
    expect(status).toBe(1);
  });

test("Maven itself is downloaded, verified and kept where the stack has none", async () => {
  await bench.useFixture("java-maven");
  bench.env["STACK_PATH"] = bench.path("nowhere");
  // It is about Maven itself, and no more than this is needed to see it run.
  await bench.write("env/MAVEN_CUSTOM_GOALS", "validate");
  const work = bench.path("home");
  const get = "org.apache.maven:apache-maven:3.9.16:tar.gz:bin";
  await execOk([
    "mvn",
    "-q",
    "-B",
    "dependency:copy",
    `-Dartifact=${get}`,
    `-DoutputDirectory=${work}`,
  ]);
  const path = "/maven/maven-3/3.9.16/binaries/apache-maven-3.9.16-bin.tar.gz";
  mirror.files.set(path, () => new Response("another file"));
  const wrong = await bench.compile();
  expect(wrong.stdout).toContain(
    "maven 3.9.16 can't be had. An operator can set STATOR_MAVEN_MIRROR",
  );
  expect(wrong.stderr).toContain("is not the file that was announced");
  mirror.files.set(path, () => new Response(Bun.file(`${work}/apache-maven-3.9.16-bin.tar.gz`)));
  const { stdout, status } = await bench.compile();
  expect(stdout).toContain("-----> Using Maven 3.9.16\n");
  expect(stdout).toContain("BUILD SUCCESS");
  expect(status).toBe(0);
  expect((await bench.compile()).stdout).toContain(
    "Using maven 3.9.16 from the cache (SHA-256 verified)",
  );
});

test("the Gradle wrapper fetches the Gradle that it names, and the task stage is used where there is one", async () => {
  await bench.useFixture("java-gradle");
  // Debian's Gradle, packed as its maker packs it, from this machine.
  await execOk(["cp", "-rL", "/usr/share/gradle", bench.path("home/gradle-4.4.1")]);
  const zip = bench.path("home/gradle-4.4.1-bin.zip");
  const pack =
    "import shutil,sys;shutil.make_archive(sys.argv[1],'zip',sys.argv[2],'gradle-4.4.1')";
  await execOk(["python3", "-c", pack, zip.slice(0, -4), bench.path("home")]);
  mirror.files.set("/gradle-4.4.1-bin.zip", () => new Response(Bun.file(zip)));
  await execOk(["gradle", "-q", "--no-daemon", "wrapper"], { cwd: bench.path("app") });
  const properties = "app/gradle/wrapper/gradle-wrapper.properties";
  const address = `${mirror.address}/gradle-4.4.1-bin.zip`.replace(":", "\\:");
  const text = (await bench.read(properties)).replace(
    /distributionUrl=.*/,
    () => `distributionUrl=${address}`,
  );
  await bench.write(properties, text);
  await bench.write(
    "app/build.gradle",
    `${await bench.read("app/build.gradle")}\ntask stage(dependsOn: installDist)\n`,
  );
  const { stdout, status } = await bench.compile();
  expect(stdout).toContain("-----> Using the Gradle wrapper of the app\n");
  expect(stdout).toContain("-----> Building with Gradle: stage\n");
  expect(status).toBe(0);
  expect((await bench.release()).stdout).toContain(
    "web: build/install/java-gradle/bin/java-gradle\n",
  );
  const kept = bench.path("cache/buildpack/home/.gradle/wrapper/dists/gradle-4.4.1-bin");
  expect(existsSync(kept)).toBe(true);
  await bench.addProgram("app/gradlew", 'echo "called: $*"');
  await bench.write("env/GRADLE_TASK", "clean jar");
  const chosen = await bench.compile();
  expect(chosen.stdout).toContain("-----> Building with Gradle: clean jar\n");
  expect(chosen.stdout).toContain("called: --no-daemon --console=plain clean jar\n");
});

for (const [what, file, manifest, web] of [
  [
    "Spring Boot",
    "target/app-1.0.jar",
    "Main-Class: org.springframework.boot.loader.launch.JarLauncher",
    "java -Dserver.port=$PORT $JAVA_OPTS -jar target/app-1.0.jar",
  ],
  [
    "WildFly",
    "target/app-bootable.jar",
    "Main-Class: org.wildfly.core.jar.boot.Main",
    "java -Djboss.bind.address=0.0.0.0 -Djboss.http.port=$PORT $JAVA_OPTS -jar target/app-bootable.jar",
  ],
  [
    "Quarkus",
    "build/quarkus-app/quarkus-run.jar",
    "Main-Class: any",
    "java -Dquarkus.http.port=$PORT $JAVA_OPTS -jar build/quarkus-app/quarkus-run.jar",
  ],
  ["nobody's framework", "target/app.jar", "Main-Class: Main", undefined],
  [
    "a name for a shell",
    "target/app;id.jar",
    "Main-Class: org.springframework.boot.loader.JarLauncher",
    undefined,
  ],
] as const)
  test(`the default process type of ${what}`, async () => {
    await bench.write(`app/META-INF/MANIFEST.MF`, `Manifest-Version: 1.0\n${manifest}\n`);
    await bench.write(`app/${file}`, "");
    const jar = bench.path("app", file);
    const pack =
      "import zipfile,sys;zipfile.ZipFile(sys.argv[1],'w').write('META-INF/MANIFEST.MF')";
    await execOk(["python3", "-c", pack, jar], { cwd: bench.path("app") });
    expect((await bench.release()).stdout).toBe(
      web ? `---\ndefault_process_types:\n  web: ${web}\n` : "--- {}\n",
    );
    await bench.write("app/Procfile", "worker: true\n");
    expect((await bench.release()).stdout).toBe("--- {}\n");
  });
