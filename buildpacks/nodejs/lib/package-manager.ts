import { chmod, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { runInBuild, type Build } from "./build.ts";
import { BuildFailure } from "./build-failure.ts";
import { line } from "./output.ts";
import type { PackageJson } from "./package-json.ts";
import { packagedVersion } from "./program.ts";
import { isRange, majorOf, satisfies, versions } from "./versions.ts";

export type ManagerName = "npm" | "yarn" | "pnpm" | "bun";

/** Which program installs the packages, in which version, and the lock file that it obeys. */
export type Manager = {
  name: ManagerName;
  lockFile: string | undefined;
  /** Yarn 2 and later: another program than yarn 1 in all but the name. */
  berry: boolean;
  /** A range; undefined for whatever npm comes with Node.js. */
  wanted: string | undefined;
};

const lockFiles: [file: string, manager: ManagerName][] = [
  ["npm-shrinkwrap.json", "npm"],
  ["package-lock.json", "npm"],
  ["yarn.lock", "yarn"],
  ["pnpm-lock.yaml", "pnpm"],
  ["bun.lock", "bun"],
  ["bun.lockb", "bun"],
];

/** The lock file decides, then packageManager; without either it is npm. */
export async function chooseManager({ dir, packageJson }: Build): Promise<Manager> {
  const files = await readdir(dir);
  const found = lockFiles.filter(([file]) => files.includes(file));
  if (found.length > 1) throw tooManyLockFiles(found.map(([file]) => file));

  const [lockFile, manager] = found[0] ?? [];
  const declared = /^(npm|yarn|pnpm|bun)@/.exec(packageJson.packageManager ?? "")?.[1];
  const name = manager ?? (declared as ManagerName | undefined) ?? "npm";
  const lock = lockFile && name !== "npm" ? await Bun.file(join(dir, lockFile)).text() : "";
  const asked = askedVersion(packageJson, name);
  const berry =
    name === "yarn" &&
    (lockFile ? /^__metadata:/m.test(lock) : asked !== undefined && majorOf(asked) > 1);
  return { name, lockFile, berry, wanted: asked ?? defaultVersion(name, { berry, lock }) };
}

/** Installs npm, and yarn, pnpm or Bun when the app uses them, unless what is there will do. */
export async function provideTools(
  build: Build,
  manager: Manager,
): Promise<{ npm: string; manager: string }> {
  const npm = await provide(build, {
    program: "npm",
    packageName: "npm",
    wanted: askedVersion(build.packageJson, "npm"),
  });
  if (manager.name === "npm") return { npm, manager: npm };

  const ownRelease = manager.berry ? await checkedInYarn(build) : undefined;
  if (ownRelease) return { npm, manager: await useCheckedInYarn(build, ownRelease) };
  return {
    npm,
    manager: await provide(build, {
      program: manager.name,
      packageName: manager.berry ? "@yarnpkg/cli-dist" : manager.name,
      wanted: manager.wanted,
    }),
  };
}

/** packageManager is exact, so it wins over a range in engines. */
function askedVersion(packageJson: PackageJson, name: ManagerName): string | undefined {
  const [, declared, exact] =
    /^(npm|yarn|pnpm|bun)@([^+]+)/.exec(packageJson.packageManager ?? "") ?? [];
  const engine = packageJson.engines[name]?.trim();
  const asked = declared === name ? exact : engine || undefined;
  if (asked === undefined || asked === "latest") return asked && "*";
  if (isRange(asked)) return asked;
  throw new BuildFailure(
    `package.json asks for ${name} "${asked}", which is not a version or a range of versions.`,
  );
}

function defaultVersion(
  name: ManagerName,
  { berry, lock }: { berry: boolean; lock: string },
): string | undefined {
  if (name === "npm") return undefined;
  if (name === "bun") return versions.bun.default;
  if (name === "yarn") return berry ? versions.yarn.berry : versions.yarn.classic;
  const lockVersion = /^lockfileVersion:\s*'?(\d+)/m.exec(lock)?.[1] ?? "";
  const known: Record<string, string> = versions.pnpm.byLockfileVersion;
  return known[lockVersion] ?? versions.pnpm.default;
}

async function provide(
  build: Build,
  {
    program,
    packageName,
    wanted,
  }: { program: ManagerName; packageName: string; wanted: string | undefined },
): Promise<string> {
  const present = await packagedVersion(program, build.env);
  if (present && (wanted === undefined || satisfies(present, wanted))) {
    line(`Using ${program} ${present}${wanted ? ` (${wanted} wanted)` : ""}`);
    return present;
  }

  line(`Installing ${program} ${wanted ?? ""}...`);
  const prefix = join(build.dir, ".heroku", program);
  await runInBuild(
    build,
    [
      "npm",
      "install",
      "--global",
      "--prefix",
      prefix,
      "--no-audit",
      "--no-fund",
      `${packageName}@${wanted ?? "latest"}`,
    ],
    `npm install ${packageName}@${wanted ?? "latest"}`,
  );
  const installed = await packagedVersion(program, build.env);
  if (!installed) throw new Error(`${packageName} was installed, but brought no ${program}`);
  line(`Using ${program} ${installed}`);
  return installed;
}

/** The release of yarn that is committed with the app (`yarnPath` in .yarnrc.yml), from its folder. */
async function checkedInYarn({ dir }: Build): Promise<string | undefined> {
  const settings = await yarnSettings(dir);
  const path = settings["yarnPath"];
  if (typeof path !== "string") return undefined;
  if (/^[\w./@+-]+$/.test(path) && (await Bun.file(join(dir, path)).exists())) return path;
  throw new BuildFailure(
    `.yarnrc.yml says yarnPath: ${path}, but that file is not there: commit it, or remove the line.`,
  );
}

async function useCheckedInYarn({ dir, env }: Build, path: string): Promise<string> {
  const folder = join(dir, ".heroku/yarn/bin");
  await mkdir(folder, { recursive: true });
  await Bun.write(
    join(folder, "yarn"),
    `#!/bin/sh\nexec node "$(dirname "$0")/../../../${path}" "$@"\n`,
  );
  await chmod(join(folder, "yarn"), 0o755);
  const child = Bun.spawn(["yarn", "--version"], {
    cwd: dir,
    env,
    stdin: "ignore",
    stdout: "pipe",
  });
  const version = (await new Response(child.stdout).text()).trim();
  line(`Using yarn ${version} from ${path}`);
  return version;
}

export async function yarnSettings(dir: string): Promise<Record<string, unknown>> {
  const file = Bun.file(join(dir, ".yarnrc.yml"));
  if (!(await file.exists())) return {};
  const content: unknown = Bun.YAML.parse(await file.text());
  return typeof content === "object" && content !== null ? { ...content } : {};
}

function tooManyLockFiles(files: string[]): BuildFailure {
  return new BuildFailure(
    `Two different lock files found: ${files.join(" and ")}.\n` +
      "Each belongs to another package manager, or hides the other, so the build would not be reproducible.\n" +
      `Keep the one that your team uses and remove the rest, for example: git rm ${files[0]}`,
  );
}
