import { cp, mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import type { Build } from "./build.ts";
import { npmSetting } from "./environment.ts";
import { line, warn } from "./output.ts";
import { type Manager, yarnSettings } from "./package-manager.ts";

export type Cache = {
  /** Brings the kept folders back, or drops everything when one of the versions changed. */
  restore: (versions: Record<string, string>) => Promise<void>;
  save: () => Promise<void>;
  close: () => Promise<void>;
};

/**
 * Two things are kept between builds: the package manager's own store, used in place, and folders of
 * the app, copied. Both are dropped when anything changes that compiled modules depend on.
 */
export async function openCache(build: Build, manager: Manager): Promise<Cache> {
  const { dir, env, packageJson } = build;
  const enabled = env["NODE_MODULES_CACHE"] !== "false";
  const root = enabled
    ? join(build.cacheDir, "nodejs")
    : await mkdtemp(join(tmpdir(), "nodejs-cache-"));
  const kept = join(root, "directories");
  const signatureFile = Bun.file(join(root, "signature"));
  let signature = "";
  await mkdir(root, { recursive: true });
  await useStore(build, { manager, root });

  const directories = packageJson.cacheDirectories
    ? packageJson.cacheDirectories.filter(isInsideApp)
    : // With a lock file node_modules is made anew from the store, and npm ci would remove it first.
      manager.lockFile
      ? []
      : ["node_modules"];

  return {
    async restore(versions) {
      if (!enabled) return line("Cache is off (NODE_MODULES_CACHE=false).");
      signature = signatureOf({
        stack: env["STACK"] ?? "",
        architecture: process.arch,
        ...versions,
      });
      if (!(await signatureFile.exists())) return line("No cache yet.");
      if ((await signatureFile.text()) !== signature) {
        await rm(root, { recursive: true });
        await mkdir(root, { recursive: true });
        return line("Cache dropped: the stack, Node.js or a tool changed since.");
      }
      line(`- ${manager.name} store`);
      for (const directory of directories) {
        if (!(await exists(join(kept, directory)))) line(`- ${directory} (not cached - skipping)`);
        else if (await exists(join(dir, directory))) line(`- ${directory} (exists - skipping)`);
        else {
          line(`- ${directory}`);
          await copy(join(kept, directory), join(dir, directory));
        }
      }
    },

    async save() {
      if (!enabled) return line("Cache is off (NODE_MODULES_CACHE=false).");
      await rm(kept, { recursive: true, force: true });
      line(`- ${manager.name} store`);
      for (const directory of directories) {
        if (!(await exists(join(dir, directory)))) {
          line(`- ${directory} (nothing to cache)`);
          continue;
        }
        line(`- ${directory}`);
        await copy(join(dir, directory), join(kept, directory));
      }
      await Bun.write(signatureFile, signature);
    },

    async close() {
      if (!enabled) await rm(root, { recursive: true, force: true });
    },
  };
}

/** Tells the package manager to keep what it downloads in the cache, unless the app says otherwise. */
async function useStore(
  { dir, env }: Build,
  { manager, root }: { manager: Manager; root: string },
): Promise<void> {
  if (npmSetting(env, "cache") === undefined) env["npm_config_cache"] = join(root, "npm");
  if (manager.name === "pnpm") {
    env["npm_config_store_dir"] ??= join(root, "pnpm");
    env["pnpm_config_store_dir"] ??= join(root, "pnpm");
  } else if (manager.name === "bun") {
    env["BUN_INSTALL_CACHE_DIR"] ??= join(root, "bun");
  } else if (manager.name === "yarn" && !manager.berry) {
    env["YARN_CACHE_FOLDER"] ??= join(root, "yarn");
  } else if (manager.berry) {
    env["YARN_ENABLE_TELEMETRY"] ??= "0";
    env["YARN_ENABLE_GLOBAL_CACHE"] ??= "false";
    // Plug'n'Play runs from the archives in .yarn/cache, so those belong into the slug.
    const { nodeLinker } = await yarnSettings(dir);
    const linker = env["YARN_NODE_LINKER"] ?? nodeLinker;
    const runsFromArchives = linker !== "node-modules" && linker !== "pnpm";
    if (!runsFromArchives && !(await exists(join(dir, ".yarn/cache")))) {
      env["YARN_CACHE_FOLDER"] ??= join(root, "yarn");
    }
  }
}

function signatureOf(parts: Record<string, string>): string {
  return Object.entries(parts)
    .map(([name, version]) => `${name} ${version}`)
    .join("; ");
}

function isInsideApp(directory: string): boolean {
  const path = normalize(directory);
  const inside = path !== "." && !path.startsWith("/") && !path.startsWith("..");
  if (!inside)
    warn(`cacheDirectories: "${directory}" is not a folder of the app, so it is skipped.`);
  return inside;
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
