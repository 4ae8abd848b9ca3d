import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { warn } from "./output.ts";
import type { Environment } from "./run.ts";

/** Config vars that would break the build itself; the same list as Heroku's buildpacks have. */
const denied = /^(PATH|GIT_DIR|CPATH|CPPATH|LD_PRELOAD|LIBRARY_PATH|LANG|BUILD_DIR)$/;

/** One file a config var: its name the key, its content the value. */
export async function readConfigVars(envDir: string | undefined): Promise<Record<string, string>> {
  if (!envDir) return {};
  const names = await readdir(envDir).catch(() => []);
  const wanted = names.filter((name) => !denied.test(name));
  const entries = wanted.map(async (name) => [name, await Bun.file(join(envDir, name)).text()]);
  return Object.fromEntries(await Promise.all(entries));
}

/** What the programs of the build see: the platform's environment, the config vars, and our defaults. */
export function buildEnvironment(
  platform: Environment,
  { config, buildDir }: { config: Record<string, string>; buildDir: string },
): Environment {
  const given = { ...platform, ...config };
  return {
    ...given,
    NODE_ENV: config["NODE_ENV"] ?? "production",
    NODE_VERBOSE: config["NODE_VERBOSE"] ?? "false",
    NODE_MODULES_CACHE: config["NODE_MODULES_CACHE"] ?? "true",
    NODE_OPTIONS: nodeOptionsOfBuild(given["NODE_OPTIONS"] ?? ""),
    ...(npmSetting(given, "loglevel") === undefined && { NPM_CONFIG_LOGLEVEL: "error" }),
    // Advertisements of npm in a build's output help nobody.
    ...(npmSetting(given, "update_notifier") === undefined && {
      NPM_CONFIG_UPDATE_NOTIFIER: "false",
    }),
    ...(npmSetting(given, "fund") === undefined && { NPM_CONFIG_FUND: "false" }),
    PATH: [
      ...binFolders(buildDir),
      join(buildDir, "node_modules/.bin"),
      platform["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    ].join(":"),
  };
}

/** Where this buildpack puts programs, first found first. */
export function binFolders(buildDir: string): string[] {
  return ["bun", "pnpm", "yarn", "npm", "node"].map((name) =>
    join(buildDir, ".heroku", name, "bin"),
  );
}

/** npm reads its settings from the environment in upper and in lower case. */
export function npmSetting(env: Environment, name: string): string | undefined {
  return env[`NPM_CONFIG_${name.toUpperCase()}`] ?? env[`npm_config_${name}`];
}

/**
 * NODE_OPTIONS is mostly meant for the running app. A module to preload (`--require newrelic`) is not
 * installed yet when npm starts, and an inspector would collide with itself; the rest stays.
 */
function nodeOptionsOfBuild(options: string): string {
  const pattern =
    /(?:^|\s)(?:(?:--require|--import|--loader|--experimental-loader)(?:=|\s+)|-r\s+|--inspect[\w-]*=?)(?:"[^"]*"|[^\s"-]\S*)?/g;
  const kept = options.replace(pattern, "").trim();
  if (kept !== options.trim()) {
    warn("NODE_OPTIONS preloads modules or an inspector: left out during the build only.");
  }
  return /max[-_]old[-_]space[-_]size/.test(kept)
    ? kept
    : `${kept} --max_old_space_size=2560`.trim();
}
