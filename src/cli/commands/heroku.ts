import { spawn } from "../../lib/exec.ts";
import { pidExists } from "../../lib/process-table.ts";
import { thisProgram } from "../../lib/this-program.ts";
import type { CliSettings } from "../../settings/cli-settings.ts";
import { startBridge } from "../bridge.ts";
import { command, type Topic } from "../command.ts";
import { readCredentials, readServer } from "../credentials.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { herokuEnvironment } from "../heroku-environment.ts";

const heroku = command({
  summary: "run Heroku's own command line against this platform",
  usage: "[ARGUMENTS…]",
  passesAllOn: true,
  details:
    "All that heroku asks goes over a bridge on this machine, which ends with it, to the platform;\nyour login at Heroku is neither used nor changed, and Heroku's hosts see nothing of yours.\nIts own help: stator heroku help",
  examples: ["stator heroku ps -a my-shop", "stator heroku run bash -a my-shop"],
  flags: {},
  async run({ args, world }) {
    const { settings } = world;
    const program = Bun.which("heroku", { PATH: settings.path });
    if (program === null)
      throw new CommandFailure(
        "heroku, Heroku's own command line, is not installed here.\nInstall it, then try again: https://devcenter.heroku.com/articles/heroku-cli",
      );
    if (/^(?:auth:)?log(?:in|out)$/.test(args[0] ?? ""))
      throw new CommandFailure(
        `stator heroku has the login of stator itself. Log in and out with it: stator ${args[0]}`,
      );
    const credentials = readCredentials(settings);
    const bridge = startBridge(credentials.api);
    // Ctrl-C goes to both; heroku decides what it means.
    const ignore = () => {};
    process.on("SIGINT", ignore);
    try {
      const child = spawn([program, ...args], {
        cwd: world.cwd,
        env: { ...settings.inherited, ...herokuEnvironment(settings, credentials, bridge.url) },
        ...{ stdin: "inherit", stdout: "inherit", stderr: "inherit" },
      } as never);
      return await child.exited;
    } finally {
      process.off("SIGINT", ignore);
      await bridge.close();
    }
  },
});

const keepBridge = command({
  summary: "serve the API on loopback, for programs that talk to nothing else",
  details:
    "Says its address, and goes on until it is interrupted or the process of --while has ended.\nIt holds no token: every request has to bring its own.",
  examples: ["stator bridge", "HEROKU_HOST=http://127.0.0.1:49152 HEROKU_API_KEY=… heroku apps"],
  flags: {
    while: { type: "string", value: "PID", summary: "end with this process" },
  },
  async run({ flags, world, print }) {
    const pid = flags.while === undefined ? undefined : Number(flags.while);
    if (pid !== undefined && !(Number.isInteger(pid) && pid > 0))
      throw new UsageFailure(`--while ${flags.while} is not possible: give the id of a process`);
    const bridge = startBridge(readServer(world.settings).api);
    print(bridge.url);
    const interrupted = new Promise<void>((resolve) => {
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
        process.once(signal, () => resolve());
    });
    await Promise.race([interrupted, ...(pid === undefined ? [] : [whenGone(pid)])]);
    await bridge.close();
  },
});

async function whenGone(pid: number): Promise<void> {
  while (pidExists(pid)) await Bun.sleep(1000);
}

const env = command({
  summary: "print what makes heroku, in this shell, talk to this platform",
  details:
    "Starts a bridge that ends with the shell, and prints the variables to be evaluated.\nYour login at Heroku is neither used nor changed. A new shell knows nothing of it: prefer\n`stator heroku …`, which cannot be forgotten.",
  examples: [
    'eval "$(stator env)"',
    'eval "$(stator env --unset)"',
    "stator env | source   # fish",
  ],
  flags: {
    unset: { type: "boolean", summary: "end the bridge, and take the variables back" },
    shell: { type: "string", value: "SHELL", summary: "bash, zsh, sh or fish (yours)" },
  },
  async run({ flags, world, print }) {
    const { settings } = world;
    const shell = shellWords((flags.shell ?? settings.shell).endsWith("fish"));
    const credentials = readCredentials(settings);
    if (flags.unset) {
      const names = Object.keys(herokuEnvironment(settings, credentials, "http://127.0.0.1"));
      print(shell.end("STATOR_BRIDGE_PID"));
      print(shell.unset(["STATOR_BRIDGE_PID", "STATOR_ENV_BEFORE", ...names]));
      for (const [name, value] of Object.entries(readBefore(settings)))
        print(shell.set(name, value));
      return;
    }
    if (settings.inherited.STATOR_BRIDGE_PID) print(shell.end("STATOR_BRIDGE_PID"));
    const { pid, url } = await startBridgeApart(settings, process.ppid);
    const variables = herokuEnvironment(settings, credentials, url);
    const before = settings.inherited.STATOR_ENV_BEFORE ?? writeBefore(settings, variables);
    const own = { STATOR_BRIDGE_PID: String(pid), STATOR_ENV_BEFORE: before };
    for (const [name, value] of Object.entries({ ...own, ...variables }))
      print(shell.set(name, value));
    if (process.stdout.isTTY) print('# Have your shell run this: eval "$(stator env)"');
  },
});

/** The values that `stator env` replaces, for `--unset`. */
function writeBefore({ inherited }: CliSettings, variables: Record<string, string>): string {
  const names = Object.keys(variables).filter((name) => inherited[name] !== undefined);
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, inherited[name]])));
}

function readBefore({ inherited }: CliSettings): Record<string, string> {
  return JSON.parse(inherited.STATOR_ENV_BEFORE ?? "{}") as Record<string, string>;
}

/** How things are said to the shell: those of Bourne's kind, or fish. */
function shellWords(fish: boolean) {
  return {
    set: (name: string, value: string) =>
      fish ? `set -gx ${name} ${quoted(value)};` : `export ${name}=${quoted(value)};`,
    unset: (names: string[]) => `${fish ? "set -e" : "unset"} ${names.join(" ")};`,
    end: (pid: string) => `kill "$${pid}" 2>/dev/null${fish ? "; or true" : " || :"};`,
  };
}

/** A bridge as a process of its own, for as long as the shell that asks for it is there. */
async function startBridgeApart({ inherited }: CliSettings, shell: number) {
  const child = spawn([...thisProgram, "bridge", "--while", String(shell)], {
    env: inherited,
    ...{ stdin: "ignore", stdout: "pipe", stderr: "inherit", detached: true },
  });
  const { value } = await child.stdout.getReader().read();
  if (value === undefined) throw new CommandFailure("The bridge did not start.");
  child.unref();
  return { pid: child.pid, url: Buffer.from(value).toString().trim() };
}

/** For a shell, whatever is in it; fish reads a quote inside by the same trick. */
function quoted(value: string): string {
  return `'${value.replaceAll("'", `'"'"'`)}'`;
}

export default {
  name: "heroku",
  summary: "Heroku's own command line, on this platform",
  commands: { heroku, env, bridge: keepBridge },
} satisfies Topic;
