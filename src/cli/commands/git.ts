import { command, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { insideRepository, setRemote } from "../git-remotes.ts";

const remote = command({
  summary: "point a git remote of this repository to an app",
  examples: ["stator git:remote -a my-shop", "stator git:remote -a my-shop-staging -r staging"],
  flags: {
    app: { type: "string", short: "a", value: "APP", summary: "the app" },
    remote: { type: "string", short: "r", value: "REMOTE", summary: "name of the remote (stator)" },
  },
  async run({ api, flags, print, world }) {
    const name = flags.app ?? world.settings.app;
    if (name === undefined) throw new UsageFailure("Which app? stator git:remote -a APP");
    if (!(await insideRepository(world)))
      throw new CommandFailure(`${world.cwd} is not inside a git repository.\nMake one: git init`);
    const param = { app: encodeURIComponent(name) };
    const app = await answerOf(api.apps[":app"].$get({ param }));
    const remote = flags.remote ?? "stator";
    await setRemote(world, { name: remote, url: app.git_url });
    print(`set git remote ${remote} to ${app.git_url}`);
  },
});

export default {
  name: "git",
  summary: "where git pushes to",
  commands: { "git:remote": remote },
} satisfies Topic;
