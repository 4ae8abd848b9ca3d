import { runInBuild, type Build } from "./build.ts";
import { line } from "./output.ts";
import type { ManagerName } from "./package-manager.ts";

/** Runs one of Heroku's hooks if package.json has it. */
export async function runHook(build: Build, script: string, manager: ManagerName): Promise<void> {
  if (!(script in build.packageJson.scripts)) return;
  line(`Running ${script}`);
  await runInBuild(build, [manager, "run", script]);
}

/** heroku-postbuild stands in for build when an app has both. */
export async function runBuildScript(build: Build, manager: ManagerName): Promise<void> {
  const { scripts } = build.packageJson;
  const script = ["heroku-postbuild", "build"].find((name) => name in scripts);
  if (!script) return line("No build script (build or heroku-postbuild): nothing to build.");

  const flags = build.env["NODE_BUILD_FLAGS"]?.trim().split(/\s+/).filter(Boolean) ?? [];
  line(`Running ${[script, ...flags].join(" ")}`);
  // npm keeps flags for itself unless they stand behind `--`; yarn and pnpm pass them on.
  const separator = flags.length > 0 && manager === "npm" ? ["--"] : [];
  await runInBuild(build, [manager, "run", script, ...separator, ...flags]);
}
