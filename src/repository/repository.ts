import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { asUser } from "../lib/as-user.ts";
import { exec, execOk, hostEnvironment, spawn } from "../lib/exec.ts";
import type { App } from "../model/app.ts";

export interface Repositories {
  path(app: App): string;
  /** Makes the bare repository of an app when it is not there. */
  ensure(app: App): Promise<string>;
  remove(app: App): Promise<void>;
}

/** Larger pushes are refused by git itself. */
const maxPushBytes = 2 * 1024 * 1024 * 1024;

/** The bare repositories, named by the app's id, so that renaming an app moves nothing. */
export function createRepositories(options: {
  dir: string;
  hooksDir: string;
  /** This program; the hook of each push is one of its commands. */
  program: string[];
}): Repositories {
  const { dir, hooksDir, program } = options;
  for (const folder of [dir, hooksDir]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const hook = join(hooksDir, "pre-receive");
  const command = [...program, "git-hook"].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  writeFileSync(hook, `#!/bin/sh\nexec ${command.join(" ")}\n`);
  chmodSync(hook, 0o700);
  const path = (app: App) => join(dir, `${app.id}.git`);
  for (const quarantine of leftQuarantines(dir)) void exec(["rm", "-rf", "--", quarantine]);

  return {
    path,
    async ensure(app) {
      const repository = path(app);
      if (existsSync(join(repository, "config"))) return repository;
      await execOk(["git", "init", "--quiet", "--bare", "--initial-branch=main", repository]);
      const settings = {
        "core.hooksPath": hooksDir,
        "receive.maxInputSize": String(maxPushBytes),
        "receive.autogc": "false",
        "http.receivepack": "true",
        "uploadpack.allowFilter": "true",
      };
      for (const [key, value] of Object.entries(settings))
        await execOk(["git", "--git-dir", repository, "config", key, value]);
      // What a repository says of exports is for its releases as archives, not for what is deployed.
      writeFileSync(join(repository, "info/attributes"), "* -export-ignore -export-subst\n");
      return repository;
    },
    async remove(app) {
      await execOk(["rm", "-rf", "--", path(app)]);
    },
  };
}

/** What pushes had brought when their server died: git itself removes it only when it ends in peace. */
function leftQuarantines(dir: string): string[] {
  return readdirSync(dir)
    .map((name) => join(dir, name, "objects"))
    .filter((objects) => existsSync(objects))
    .flatMap((objects) => readdirSync(objects).map((name) => join(objects, name)))
    .filter((path) => basename(path).startsWith("tmp_objdir-"));
}

/** The objects of a push that is not accepted yet lie in a quarantine that the hook's variables name. */
export type Quarantine = Record<string, string>;

/** What a ref points to; all zeros when there is none, as git's hooks write it. */
export async function readRef(repository: string, ref: string): Promise<string> {
  const { stdout } = await exec([
    "git",
    "--git-dir",
    repository,
    "rev-parse",
    "--verify",
    "--quiet",
    ref,
  ]);
  return stdout.trim() || "0".repeat(40);
}

export interface Submodule {
  /** Where it belongs, from the root of the check-out. */
  path: string;
  commit: string;
  /** As `.gitmodules` says it; nothing when it does not. */
  url: string | undefined;
}

/** The submodules that a commit has, as the commit and its `.gitmodules` say. */
export async function listSubmodules(
  repository: string,
  { commit, quarantine }: { commit: string; quarantine: Quarantine },
): Promise<Submodule[]> {
  const env = { ...hostEnvironment, ...quarantine };
  const git = ["git", "--git-dir", repository] as const;
  const tree = await execOk([...git, "ls-tree", "-r", "-z", commit], { env });
  const links = tree.split("\0").flatMap((row) => {
    const [, hash, path] = /^160000 commit ([0-9a-f]+)\t(.*)$/s.exec(row) ?? [];
    return hash && path ? [{ commit: hash, path }] : [];
  });
  if (links.length === 0) return [];
  // Bad settings are as good as none.
  const said = await exec(
    [...git, "config", "--blob", `${commit}:.gitmodules`, "-z", "--get-regexp", "^submodule\\."],
    { env },
  );
  const settings = new Map(
    said.stdout.split("\0").map((row) => {
      const [key = "", ...value] = row.split("\n");
      return [key, value.join("\n")];
    }),
  );
  return links.map(({ path, commit: hash }) => {
    const [key] =
      [...settings].find(([name, value]) => name.endsWith(".path") && value === path) ?? [];
    return { path, commit: hash, url: key && settings.get(key.replace(/\.path$/, ".url")) };
  });
}

/** Writes the files of a commit into a folder, with the app's own ids. */
export async function checkOutCommit(
  repository: string,
  options: { commit: string; quarantine: Quarantine; folder: string; userId: number },
): Promise<void> {
  const { commit, quarantine, folder, userId } = options;
  const archive = spawn(["git", "--git-dir", repository, "archive", "--format=tar", commit], {
    env: { ...hostEnvironment, ...quarantine },
  });
  const extract = spawn(asUser(userId, ["tar", "--extract", "--file=-", "--no-same-owner"]), {
    cwd: folder,
    stdin: archive.stdout,
    stdout: "ignore",
    stderr: "pipe",
  } as never) as unknown as { stderr: ReadableStream<Uint8Array>; exited: Promise<number> };
  const [archiveProblem, extractProblem, archiveStatus, extractStatus] = await Promise.all([
    new Response(archive.stderr).text(),
    new Response(extract.stderr).text(),
    archive.exited,
    extract.exited,
  ]);
  if (archiveStatus !== 0 || extractStatus !== 0)
    throw new Error(
      `cannot check out ${commit}: ${(extractProblem || archiveProblem).trim() || "the transfer broke off"}`,
    );
}
