import { spawn } from "../../lib/exec.ts";
import { command, jsonFlag, type Topic } from "../command.ts";
import { readLine } from "../confirm.ts";
import { answerOf } from "../connect.ts";
import { readCredentials } from "../credentials.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { insideRepository, setRemote } from "../git-remotes.ts";

const flags = {
  app: { type: "string", short: "a", value: "APP", summary: "the app" },
  remote: { type: "string", short: "r", value: "REMOTE", summary: "name of the remote (stator)" },
} as const;

const remote = command({
  summary: "point a git remote of this repository to an app",
  examples: ["stator git:remote -a my-shop", "stator git:remote -a my-shop-staging -r staging"],
  flags: { ...flags, ...jsonFlag },
  async run({ api, flags, print, printJson, world }) {
    const name = flags.app ?? world.settings.app;
    if (name === undefined) throw new UsageFailure("Which app? stator git:remote -a APP");
    if (!(await insideRepository(world)))
      throw new CommandFailure(`${world.cwd} is not inside a git repository.\nMake one: git init`);
    const param = { app: encodeURIComponent(name) };
    const app = await answerOf(api.apps[":app"].$get({ param }));
    const remote = flags.remote ?? "stator";
    await setRemote(world, { name: remote, url: app.git_url });
    if (flags.json) printJson({ remote, url: app.git_url });
    else print(`set git remote ${remote} to ${app.git_url}`);
  },
});

const clone = command({
  summary: "clone the repository of an app",
  usage: "[FOLDER]",
  examples: ["stator git:clone -a my-shop"],
  flags,
  async run({ api, args, flags, world }) {
    const name = flags.app ?? world.settings.app;
    if (name === undefined) throw new UsageFailure("Which app? stator git:clone -a APP");
    const param = { app: encodeURIComponent(name) };
    const app = await answerOf(api.apps[":app"].$get({ param }));
    const folder = args[0] ?? app.name;
    const argv = ["clone", "-o", flags.remote ?? "stator", "--", app.git_url, folder] as const;
    const child = spawn(["git", ...argv], {
      ...{ cwd: world.cwd, env: world.settings.inherited },
      ...{ stdin: "inherit", stdout: "inherit", stderr: "inherit" },
    } as never);
    return child.exited;
  },
});

const credentials = command({
  summary: "answer git, as its credential helper",
  usage: "OPERATION",
  details:
    "For those who want no token in ~/.netrc:\n  git config --global credential.https://git.DOMAIN.helper '!stator git:credentials'",
  flags: {},
  async run({ args, print, world }) {
    // git stores and erases by the other words; the token is kept elsewhere.
    if (args[0] !== "get") return;
    const { git, token } = readCredentials(world.settings);
    const { protocol, host } = new URL(git);
    const asked: Record<string, string> = {};
    for (let line = await readLine(); line !== ""; line = await readLine()) {
      const [key = "", ...value] = line.split("=");
      asked[key] = value.join("=");
    }
    if (`${asked.protocol}:` !== protocol || asked.host !== host)
      throw new CommandFailure(
        `This helper knows ${git}, and not ${asked.protocol}://${asked.host}`,
      );
    for (const line of [`protocol=${asked.protocol}`, `host=${host}`, "username=stator"])
      print(line);
    print(`password=${token}`);
  },
});

export default {
  name: "git",
  summary: "where git pushes to",
  commands: { "git:remote": remote, "git:clone": clone, "git:credentials": credentials },
} satisfies Topic;
