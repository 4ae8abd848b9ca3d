import { execOk } from "../../src/lib/exec.ts";
import { oneAtATime } from "./one-at-a-time.ts";

/** Lets Maven write its wrapper into an app; it names the registry that this machine uses, which the repository does not. */
export async function mavenWrapper(folder: string): Promise<void> {
  const goal = "org.apache.maven.plugins:maven-wrapper-plugin:3.3.4:wrapper";
  await execOk(oneAtATime("mvn", "-q", "-B", goal, "-Dmaven=3.9.16"), { cwd: folder });
}
