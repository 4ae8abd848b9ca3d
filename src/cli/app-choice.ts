import { readServer } from "./credentials.ts";
import { CommandFailure } from "./failures.ts";
import { appOfRemote, listRemotes } from "./git-remotes.ts";
import type { World } from "./world.ts";

/**
 * The app that a command is about: `--app`, `--remote`, STATOR_APP, then the git remotes of the
 * current folder: `stator`, or the only one that points to the platform.
 */
export async function chooseApp(
  world: World,
  { app, remote }: { app?: string | undefined; remote?: string | undefined },
): Promise<string> {
  if (app !== undefined) return app;
  if (remote === undefined && world.settings.app !== undefined) return world.settings.app;
  const { git } = readServer(world.settings);
  const candidates = (await listRemotes(world)).flatMap(({ name, url }) => {
    const found = appOfRemote(url, git);
    return found === undefined ? [] : [{ name, app: found }];
  });
  const named = candidates.find(({ name }) => name === (remote ?? "stator"));
  if (named) return named.app;
  if (remote !== undefined)
    throw new CommandFailure(
      `There is no git remote ${JSON.stringify(remote)} in ${world.cwd} that points to ${git}.\nSee git remote -v, or name the app: --app APP`,
    );
  const [only, ...others] = candidates;
  if (!only)
    throw new CommandFailure(
      `No app was named, and no git remote in ${world.cwd} points to ${git}.\nName it: --app APP\nOr, in the app's repository: stator git:remote -a APP`,
    );
  if (others.length > 0)
    throw new CommandFailure(
      `Several git remotes in ${world.cwd} point to ${git}: ${candidates.map(({ name }) => name).join(", ")}.\nChoose one: --remote REMOTE, or name the app: --app APP`,
    );
  return only.app;
}
