import { afterAll, beforeAll, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { expectLanguageFlow } from "../helpers/language-flow.ts";
import { type OutsideServer, startOutsideServer } from "../helpers/outside-server.ts";
import { packSbtLauncher } from "../helpers/sbt-launcher.ts";
import { startStator, type StatorServer } from "../helpers/stator-server.ts";

setDefaultTimeout(600_000);
let stator: StatorServer;
let outside: OutsideServer;
beforeAll(async () => {
  await ensurePrograms({ javac: "openjdk-17-jdk-headless", mvn: "maven" });
  outside = await startOutsideServer();
  stator = await startStator({ variables: { STATOR_SBT_MIRROR: `${outside.address}/sbt` } });
  mkdirSync(outside.path("sbt/v1.10.7"), { recursive: true });
  const archive = await packSbtLauncher(outside.path("sbt/v1.10.7"));
  // Its maker's archive cannot be had here; this one has the same launcher, and so another checksum.
  const data = join(stator.dataDir, "buildpacks/scala/versions.json");
  const versions = JSON.parse(readFileSync(data, "utf8")) as { sbt: { sha256: string } };
  versions.sbt.sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex");
  writeFileSync(data, JSON.stringify(versions));
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
      files: { "src/main/scala/Broken.scala": "object Broken { nowhere }" },
      message: "sbt could not build the app",
    },
  });
});
