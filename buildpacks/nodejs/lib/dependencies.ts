import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { runInBuild, type Build } from "./build.ts";
import { npmSetting } from "./environment.ts";
import { line, warn } from "./output.ts";
import type { Manager } from "./package-manager.ts";
import { majorOf } from "./versions.ts";

type Installed = { manager: Manager; version: string };

/** Scripts that npm runs at an install even when there is nothing to install. */
const installLifecycle = ["preinstall", "install", "postinstall", "prepublish", "prepare"];

export async function installDependencies(
  build: Build,
  { manager, version, nodeModulesIsCheckedIn }: Installed & { nodeModulesIsCheckedIn: boolean },
): Promise<void> {
  if (hasNothingToInstall(build, manager) && !nodeModulesIsCheckedIn) {
    return line("No dependencies and no lock file: nothing to install.");
  }
  if (nodeModulesIsCheckedIn) {
    warn(
      "node_modules is checked into the repository: what it holds may not fit this machine.\n" +
        "Remove it: git rm -r --cached node_modules, and name it in .gitignore.",
    );
    if (manager.name === "npm") {
      line("Rebuilding any native modules");
      await runInBuild(build, ["npm", "rebuild"]);
    }
  }
  line(`Installing node modules${manager.lockFile ? ` (${manager.lockFile})` : ""}`);
  await runInBuild(
    build,
    installCommand(build, { manager, version, keepNodeModules: nodeModulesIsCheckedIn }),
  );
}

/** Removes what only the build needed. */
export async function pruneDevDependencies(
  build: Build,
  { manager, version }: Installed,
): Promise<void> {
  const { env, packageJson } = build;
  if (!packageJson.hasDevDependencies && !packageJson.hasWorkspaces) {
    return line("No devDependencies: nothing to prune.");
  }
  if (env["NODE_ENV"] !== "production") {
    return line(`Skipped, because NODE_ENV is "${env["NODE_ENV"]}", not "production".`);
  }
  const kept = switchThatKeeps(build, manager);
  if (kept) return line(`Skipped, because ${kept} is set.`);
  if (
    manager.name === "pnpm" &&
    (await Bun.file(join(build.dir, "pnpm-workspace.yaml")).exists())
  ) {
    const workspace: unknown = Bun.YAML.parse(
      await Bun.file(join(build.dir, "pnpm-workspace.yaml")).text(),
    );
    // The file also holds mere settings; pnpm can't prune only where it lists packages.
    if (typeof workspace === "object" && workspace !== null && "packages" in workspace) {
      return warn("Skipped: pnpm can't prune the devDependencies of a workspace.");
    }
  }
  if (manager.berry && majorOf(version) < 4) {
    return warn("Skipped: yarn prunes from version 4 on (yarn workspaces focus --production).");
  }
  // Bun leaves what is there; anew it comes from the cache.
  if (manager.name === "bun")
    await rm(join(build.dir, "node_modules"), { recursive: true, force: true });
  await runInBuild(build, pruneCommand(manager));
}

function hasNothingToInstall({ packageJson }: Build, manager: Manager): boolean {
  const { hasDependencies, hasWorkspaces, scripts } = packageJson;
  const runsScripts = installLifecycle.some((name) => name in scripts);
  return !hasDependencies && !hasWorkspaces && !manager.lockFile && !runsScripts;
}

function installCommand(
  build: Build,
  { manager, version, keepNodeModules }: Installed & { keepNodeModules: boolean },
): string[] {
  const { env } = build;
  const frozen = manager.lockFile !== undefined;
  const withDevelopment = switchThatKeeps(build, manager) === undefined;
  switch (manager.name) {
    case "npm": {
      const clean = frozen && env["USE_NPM_INSTALL"] !== "true" && majorOf(version) > 5;
      const include = majorOf(version) > 6 ? "--include=dev" : "--production=false";
      // npm ci would throw the checked-in modules away. What a lock file names never changes, so what
      // the cache holds of it need not be asked for again.
      return [
        "npm",
        ...(clean && !keepNodeModules ? ["ci", "--prefer-offline"] : ["install"]),
        ...(withDevelopment && npmSetting(env, "omit") === undefined ? [include] : []),
      ];
    }
    case "yarn":
      if (manager.berry) return ["yarn", "install", ...(frozen ? ["--immutable"] : [])];
      return [
        "yarn",
        "install",
        "--ignore-engines",
        "--non-interactive",
        ...(frozen ? ["--frozen-lockfile"] : []),
        ...(withDevelopment ? ["--production=false"] : []),
      ];
    case "pnpm":
      return [
        "pnpm",
        "install",
        frozen ? "--frozen-lockfile" : "--no-frozen-lockfile",
        ...(withDevelopment ? ["--prod=false"] : []),
      ];
    case "bun":
      return [
        ...["bun", "install"],
        ...(frozen ? ["--frozen-lockfile"] : []),
        ...(withDevelopment ? [] : ["--production"]),
      ];
  }
}

function pruneCommand(manager: Manager): string[] {
  switch (manager.name) {
    case "npm":
      return ["npm", "prune"];
    case "yarn":
      if (manager.berry) return ["yarn", "workspaces", "focus", "--all", "--production"];
      return "yarn install --production --frozen-lockfile --ignore-engines --ignore-scripts --prefer-offline --non-interactive".split(
        " ",
      );
    case "pnpm":
      // Nobody is there to confirm that node_modules may be removed.
      return ["pnpm", "prune", "--prod", "--config.confirmModulesPurge=false"];
    case "bun":
      return ["bun", "install", "--production", "--frozen-lockfile"];
  }
}

/** The app decides itself what is installed and stays: Heroku's switch of each package manager. */
function switchThatKeeps({ env }: Build, manager: Manager): string | undefined {
  if (npmSetting(env, "production") !== undefined) return "NPM_CONFIG_PRODUCTION";
  if (manager.name === "yarn" && env["YARN_PRODUCTION"] !== undefined) return "YARN_PRODUCTION";
  if (manager.name === "pnpm" && env["PNPM_SKIP_PRUNING"] === "true") return "PNPM_SKIP_PRUNING";
  return undefined;
}

export async function isNodeModulesCheckedIn({ dir }: Build): Promise<boolean> {
  return await stat(join(dir, "node_modules")).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
