import { exec, type ExecResult, hostEnvironment } from "../lib/exec.ts";
import { CommandFailure } from "./failures.ts";
import type { World } from "./world.ts";

/** Runs the person's own git in the current folder. */
export function git(world: World, ...args: string[]): Promise<ExecResult> {
  const { home, path } = world.settings;
  return exec(["git", ...args], {
    cwd: world.cwd,
    env: { ...hostEnvironment, HOME: home, PATH: path },
  }).catch(() => ({ exitCode: 127, stdout: "", stderr: "git is not installed" }));
}

export async function insideRepository(world: World): Promise<boolean> {
  return (await git(world, "rev-parse", "--git-dir")).exitCode === 0;
}

/** Git remotes of the current folder: name and address for fetching. */
export async function listRemotes(world: World): Promise<{ name: string; url: string }[]> {
  const { stdout } = await git(world, "remote", "-v");
  return stdout.split("\n").flatMap((line) => {
    const [, name, url] = /^(\S+)\t(\S+) \(fetch\)/.exec(line) ?? [];
    return name !== undefined && url !== undefined ? [{ name, url }] : [];
  });
}

/** Name of the app that a remote's address means, if it is one of this git host. */
export function appOfRemote(url: string, gitAddress: string): string | undefined {
  const parsed = URL.parse(url);
  if (!parsed || parsed.host !== new URL(gitAddress).host) return undefined;
  return /^\/([a-z0-9-]+?)(?:\.git)?\/?$/.exec(parsed.pathname)?.[1];
}

/** Makes a remote, or points the one of this name somewhere else. */
export async function setRemote(
  world: World,
  remote: { name: string; url: string },
): Promise<void> {
  const exists = (await listRemotes(world)).some(({ name }) => name === remote.name);
  const { exitCode, stderr } = await git(
    world,
    "remote",
    ...(exists ? ["set-url"] : ["add"]),
    "--",
    remote.name,
    remote.url,
  );
  if (exitCode !== 0)
    throw new CommandFailure(`Cannot set git remote ${remote.name}: ${stderr.trim()}`);
}
