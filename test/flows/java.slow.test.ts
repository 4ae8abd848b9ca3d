import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { expectLanguageFlow } from "../helpers/language-flow.ts";
import { mavenWrapper } from "../helpers/maven-wrapper.ts";
import { startStator, type StatorServer, until } from "../helpers/stator-server.ts";

setDefaultTimeout(400_000);
let stator: StatorServer;
beforeAll(async () => {
  await ensurePrograms({ javac: "openjdk-17-jdk-headless", mvn: "maven", gradle: "gradle" });
  stator = await startStator();
});
afterAll(() => stator.stop());

const maven = { title: "Java", cached: "Using ~/.m2 of earlier builds from the cache" };

test("an app with the Maven wrapper is pushed and answers, again from a warm cache, and a broken change takes nothing", async () => {
  const app = await expectLanguageFlow(stator, "java-maven", {
    ...maven,
    prepare: async (made) => {
      await mavenWrapper(made.folder);
      await made.commit("The wrapper");
    },
    says: "-----> Using the Maven wrapper of the app\n",
    broken: { files: { "pom.xml": "<project>" }, message: "Maven could not build the app" },
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
    ...maven,
    says: "of the stack; nothing is put into the slug for it.\n",
    broken: {
      files: { "src/main/java/hello/Broken.java": "class {" },
      message: "Maven could not build the app",
    },
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
