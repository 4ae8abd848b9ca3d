import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, hostEnvironment } from "../lib/exec.ts";
import { ToolFailure } from "./tool-failure.ts";

export interface GitOptions {
  /** `user:password` for the server of the repository. */
  credentials: string | undefined;
  /** What of the environment git needs: proxy and certificates. */
  environment: Record<string, string>;
}

const commitPattern = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/** Which commit a branch, a tag or (empty) the default branch of a repository is now. */
export async function resolveRef(url: string, ref: string, options: GitOptions): Promise<string> {
  if (commitPattern.test(ref)) return ref;
  const wanted = ref ? [`refs/heads/${ref}`, `refs/tags/${ref}`, `refs/tags/${ref}^{}`] : ["HEAD"];
  const { exitCode, stdout, stderr } = await git(["ls-remote", "--", url, ...wanted], options);
  if (exitCode !== 0) throw new ToolFailure(`Cannot read ${url}: ${lastLine(stderr)}`);
  const found = new Map(
    stdout.split("\n").map((row) => row.split("\t").toReversed() as [string, string]),
  );
  // A tag with a message is an object of its own; what it stands for is listed as `^{}`.
  const commit = [`refs/tags/${ref}^{}`, ...wanted].map((name) => found.get(name)).find(Boolean);
  if (commit) return commit;
  // The beginning of a commit's name, which no server resolves: it is looked for in the whole history.
  if (/^[0-9a-f]{7,39}$/.test(ref)) return resolveShort(url, ref, options);
  throw new ToolFailure(`${url} has no branch, tag or commit ${ref || "at all"}.`);
}

async function resolveShort(url: string, ref: string, options: GitOptions): Promise<string> {
  return inRepository(async (folder) => {
    await fetchAll(folder, url, options);
    const { stdout, exitCode } = await git(
      ["-C", folder, "rev-parse", "--verify", "--quiet", `${ref}^{commit}`],
      options,
    );
    if (exitCode !== 0) throw new ToolFailure(`${url} has no branch, tag or commit ${ref}.`);
    return stdout.trim();
  });
}

/** Writes the files of a commit, with those of its submodules, as a tar. */
export async function archiveCommit(
  url: string,
  { commit, path }: { commit: string; path: string },
  options: GitOptions,
): Promise<void> {
  await inRepository(async (folder) => {
    const one = ["-C", folder, "fetch", "--quiet", "--depth=1", "--", url, commit];
    // Not every server gives a commit by its name.
    if ((await git(one, options)).exitCode !== 0) await fetchAll(folder, url, options);
    await must(["-C", folder, "checkout", "--quiet", "--detach", commit], options);
    await must(
      ["-C", folder, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"],
      options,
    );
    const tar = ["tar", "--directory", folder, "--exclude=.git", "-cf", path, "."] as const;
    const packed = await exec(tar);
    if (packed.exitCode !== 0) throw new ToolFailure(`Cannot pack ${url}: ${packed.stderr}`);
  });
}

async function inRepository<T>(act: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "git-"));
  try {
    await must(["init", "--quiet", folder], { credentials: undefined, environment: {} });
    return await act(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const everything = ["+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"];

function fetchAll(folder: string, url: string, options: GitOptions): Promise<void> {
  return must(["-C", folder, "fetch", "--quiet", "--", url, ...everything], options);
}

async function must(args: string[], options: GitOptions): Promise<void> {
  const { exitCode, stderr } = await git(args, options);
  if (exitCode !== 0) throw new ToolFailure(`git: ${lastLine(stderr)}`);
}

/** Git that speaks HTTP only, asks nobody, and runs nothing of a repository. */
function git(args: string[], { credentials, environment }: GitOptions) {
  const settings = {
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.http.allow": "always",
    "core.hooksPath": "/dev/null",
    "credential.helper": "",
    ...(credentials && {
      "http.extraHeader": `Authorization: Basic ${Buffer.from(credentials).toString("base64")}`,
    }),
  };
  const pairs = Object.entries(settings);
  return exec(["git", ...args], {
    env: {
      ...hostEnvironment,
      ...environment,
      GIT_TERMINAL_PROMPT: "0",
      GIT_CONFIG_COUNT: String(pairs.length),
      ...Object.fromEntries(
        pairs.flatMap(([key, value], index) => [
          [`GIT_CONFIG_KEY_${index}`, key],
          [`GIT_CONFIG_VALUE_${index}`, value],
        ]),
      ),
    },
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
