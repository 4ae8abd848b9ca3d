import { afterAll, beforeAll, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { expectLanguageFlow } from "../helpers/language-flow.ts";
import { type OutsideServer, startOutsideServer } from "../helpers/outside-server.ts";
import { offerOutside } from "../helpers/outside-tool.ts";
import { packSbtLauncher } from "../helpers/sbt-launcher.ts";
import { startStator, type StatorServer } from "../helpers/stator-server.ts";

let stator: StatorServer;
let outside: OutsideServer;
beforeAll(async () => {
  await ensurePrograms({ javac: "openjdk-17-jdk-headless", mvn: "maven" });
  outside = await startOutsideServer();
  stator = await startStator({ variables: { STATOR_SBT_MIRROR: `${outside.address}/sbt` } });
  mkdirSync(outside.path("pack"));
  const archive = await packSbtLauncher(outside.path("pack"));
  offerOutside(
    { buildpacks: `${stator.dataDir}/buildpacks`, outside },
    { buildpack: "scala", name: "sbt", version: "1.10.7", archive },
  );
});
afterAll(async () => {
  await stator.stop();
  await outside.stop();
});

test("an app of sbt is staged, pushed and answers, again from a warm cache, and a broken change takes nothing", async () => {
  await expectLanguageFlow(stator, "scala", {
    title: "Scala",
    says: "-----> Running: sbt compile stage\n",
    cached: "Restored target from the cache",
    broken: {
      files: { "build.sbt": "nowhere" },
      message: "sbt could not build the app",
    },
  });
});
