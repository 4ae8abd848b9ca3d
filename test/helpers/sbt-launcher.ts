import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import { oneAtATime } from "./one-at-a-time.ts";

/** Packs sbt's launcher, of the registry that this machine uses, as its maker packs it. Returns the archive. */
export async function packSbtLauncher(folder: string): Promise<string> {
  const bin = join(folder, "sbt/bin");
  mkdirSync(bin, { recursive: true });
  const copy = "org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy";
  const what = ["-Dartifact=org.scala-sbt:sbt-launch:1.10.7", `-DoutputDirectory=${bin}`];
  await execOk(oneAtATime("mvn", "-q", "-B", copy, ...what, "-Dmdep.stripVersion=true"), {
    cwd: folder,
  });
  const archive = join(folder, "sbt-1.10.7.tgz");
  await execOk(["tar", "-C", folder, "-czf", archive, "sbt"]);
  return archive;
}
