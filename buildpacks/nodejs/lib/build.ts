import { resolve } from "node:path";
import { BuildFailure } from "./build-failure.ts";
import { buildEnvironment, readConfigVars } from "./environment.ts";
import { readPackageJson, type PackageJson } from "./package-json.ts";
import { run, type Environment } from "./run.ts";

/** One build: where it happens, what the app says of itself, and what its programs see. */
export type Build = {
  dir: string;
  cacheDir: string;
  packageJson: PackageJson;
  /** The environment of this process: what the operator set, never the app's config vars. */
  platform: Environment;
  env: Environment;
};

export async function openBuild(
  [buildDir, cacheDir, envDir]: string[],
  environment: Environment,
): Promise<Build> {
  // By it this program is Bun; so would be every other one that Bun has compiled.
  const { BUN_BE_BUN: _, ...platform } = environment;
  if (!buildDir || !cacheDir) throw new BuildFailure("Usage: bin/compile BUILD CACHE ENV");
  const dir = resolve(buildDir);
  const packageJson = await readPackageJson(dir);
  const config = await readConfigVars(envDir);
  const env = buildEnvironment(platform, { config, buildDir: dir });
  return { dir, cacheDir: resolve(cacheDir), packageJson, platform, env };
}

/** Runs a program in the app's folder; the build fails when it fails. */
export async function runInBuild(build: Build, argv: string[], what?: string): Promise<void> {
  await run(argv, { cwd: build.dir, env: build.env, ...(what !== undefined && { what }) });
}
