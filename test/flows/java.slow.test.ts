import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { expectLanguageFlow } from "../helpers/language-flow.ts";
import { mavenWrapper } from "../helpers/maven-wrapper.ts";
import { type OutsideServer, startOutsideServer } from "../helpers/outside-server.ts";
import { repositoryRoot, startStator, type StatorServer, until } from "../helpers/stator-server.ts";

let stator: StatorServer;
let outside: OutsideServer;
beforeAll(async () => {
  await ensurePrograms({ javac: "openjdk-17-jdk-headless", mvn: "maven", gradle: "gradle" });
  outside = await startOutsideServer();
  stator = await startStator({ variables: { STATOR_JAVA_MIRROR: `${outside.address}/java` } });
});
afterAll(async () => {
  await stator.stop();
  await outside.stop();
});

const maven = { title: "Java", cached: "Using ~/.m2 of earlier builds from the cache" };

const broken = { files: { "pom.xml": "<project>" }, message: "Maven could not build the app" };

test("an app with the Maven wrapper is pushed and answers, again from a warm cache, and a broken change takes nothing", async () => {
  const app = await expectLanguageFlow(stator, "java-maven", {
    ...maven,
    prepare: async (made) => {
      await mavenWrapper(made.folder);
      await made.commit("The wrapper");
    },
    says: "-----> Using the Maven wrapper of the app\n",
    broken,
  });
  const said = (await (await app.get("/")).json()) as Record<string, string>;
  expect(said["JAVA_HOME"]).toStartWith("/usr/lib/jvm/");
  expect(said["JAVA_OPTS"]).toBe("-Xmx300m -Xss512k -XX:CICompilerCount=2 -Dfile.encoding=UTF-8");
  expect(Number(said["heapMb"])).toBeWithin(280, 301);
  expect(said["JDBC_DATABASE_URL"]).toBeUndefined();
  const DATABASE_URL = "postgres://ann:p%40ss@db.example:5432/shop";
  await app.api("PATCH", "/config-vars", { DATABASE_URL });
  const jdbc = "jdbc:postgresql://db.example:5432/shop?user=ann&password=p%40ss";
  const changed = async () => (await (await app.get("/")).json()) as Record<string, string>;
  await until("the dyno has the new config", async () => "JDBC_DATABASE_URL" in (await changed()));
  expect(await changed()).toMatchObject({
    JDBC_DATABASE_URL: jdbc,
    SPRING_DATASOURCE_URL: jdbc,
    SPRING_DATASOURCE_PASSWORD: "p@ss",
  });
});

test("an app of Spring Boot needs no Procfile", async () => {
  await expectLanguageFlow(stator, "java-spring", {
    ...{ ...maven, once: true, broken },
    says: "of the stack; nothing is put into the slug for it.\n",
  });
});

test("an app of Gradle is pushed and answers, again from a warm cache, and a broken change takes nothing", async () => {
  await expectLanguageFlow(stator, "java-gradle", {
    title: "Gradle",
    prepare: (made) =>
      made.api("PUT", "/buildpack-installations", { updates: [{ buildpack: "heroku/gradle" }] }),
    says: "-----> Building with Gradle: installDist -x check\n",
    cached: "Using ~/.gradle of earlier builds from the cache",
    broken: { files: { "build.gradle": "plugins {" }, message: "Gradle could not build the app" },
  });
});

test("a Java that the stack does not have is downloaded, builds the app, and runs it in its slug", async () => {
  await offerJava("18.0.2", 9);
  const app = await stator.createApp(join(repositoryRoot, "test/fixtures/apps/java-maven"));
  app.write({
    "system.properties": "java.runtime.version=18\n",
    // In the place of Maven, which would take longest.
    mvnw: "#!/bin/sh\nrm -rf target && javac -d target/classes src/main/java/*.java\n",
    ".mvn/wrapper/maven-wrapper.properties": "",
    "src/main/java/Server.java": server,
  });
  await app.commit("Another Java");
  const { text } = await app.push();
  expect(text).toMatch(/Downloading http:.*jdk\.tar\.gz\n {7}SHA-256 /);
  expect(text).toContain("Verifying deploy... done.");
  expect(await (await app.get("/")).text()).toEndWith(" of /app/.jdk");
  await app.commit("Again");
  expect((await app.push()).text).toContain(
    "Using Java 18.0.2+9 from the cache (SHA-256 verified).\n",
  );
});

const server = `import com.sun.net.httpserver.HttpServer;
public class Server {
  public static void main(String[] args) throws Exception {
    var port = Integer.parseInt(System.getenv("PORT"));
    var server = HttpServer.create(new java.net.InetSocketAddress(port), 0);
    server.createContext("/", exchange -> {
      var said = (System.getProperty("java.version") + " of " + System.getenv("JAVA_HOME")).getBytes();
      exchange.sendResponseHeaders(200, said.length);
      exchange.getResponseBody().write(said);
      exchange.close();
    });
    server.start();
  }
}
`;

/** Adoptium's index and a small JDK, made of the stack's, which says that it is another version. */
async function offerJava(version: string, build: number): Promise<void> {
  const folder = outside.path("java/files");
  const home = join(folder, "jdk");
  mkdirSync(folder, { recursive: true });
  const modules = "jdk.compiler,jdk.httpserver,jdk.zipfs";
  await execOk(["jlink", "--add-modules", modules, "--strip-debug", "--output", home]);
  const archive = join(folder, "jdk.tar.gz");
  await execOk(["tar", "-C", folder, "-czf", archive, "jdk"]);
  const checksum = createHash("sha256").update(readFileSync(archive)).digest("hex");
  const [major = 0, minor = 0, security = 0] = version.split(".").map(Number);
  const link = `${outside.address}/java/files/jdk.tar.gz`;
  const release = {
    version_data: { major, minor, security, build },
    binaries: [{ package: { name: "jdk.tar.gz", link, checksum } }],
  };
  const index = outside.path(`java/v3/assets/feature_releases/${major}`);
  mkdirSync(index, { recursive: true });
  writeFileSync(join(index, "ga"), JSON.stringify([release]));
}
