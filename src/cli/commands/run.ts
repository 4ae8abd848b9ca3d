import { startProgram } from "../attached-program.ts";
import { appFlags, command, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure } from "../failures.ts";
import { logs } from "./logs.ts";
import { inside } from "../ps/exec.ts";
import { remoteCommand } from "../remote-command.ts";

const environmentFlag = {
  env: { type: "string", short: "e", value: "A=1;B=2", summary: "more environment, split at ;" },
} as const;

const sizeFlag = {
  size: { type: "string", short: "s", value: "SIZE", summary: "its size, as standard-2x" },
} as const;

const typeFlag = {
  type: {
    type: "string",
    value: "WORD",
    summary:
      "its name: WORD.1234 instead of run.1234; of container images also which one, as worker",
  },
} as const;

/** Heroku's, for what is not here: scripts that have it go on. */
const idleFlags = {
  "no-launcher": { type: "boolean", summary: "no launcher is put before it (none ever is)" },
  "no-notify": { type: "boolean", summary: "no notification on the desktop (none ever comes)" },
} as const;

const run = command({
  summary: "run a command in a dyno of its own, and stay with it",
  usage: "COMMAND [ARGUMENTS…]",
  runsProgram: true,
  details:
    "The command gets the slug, the config vars and this terminal; from a pipe, its input. The exit\nstatus is its own. A first word that is a process type means that type's command. One argument\nalone is a line for the remote shell; of several, each stays one word ($NAME means a remote variable).",
  examples: [
    "stator run bash",
    "stator run -- node -e 'console.log(1)'",
    "stator run 'ls | wc -l'",
  ],
  flags: {
    ...appFlags,
    ...environmentFlag,
    ...sizeFlag,
    ...typeFlag,
    "no-tty": { type: "boolean", summary: "give it pipes instead of a terminal" },
    "exit-code": { type: "boolean", short: "x", summary: "pass on its exit status (always done)" },
    ...idleFlags,
  },
  run: (context) =>
    startProgram(context, {
      line: remoteCommand(context.args),
      size: context.flags.size,
      type: context.flags.type,
      environment: environmentOf(context.flags.env ?? ""),
    }),
});

const detached = command({
  summary: "run a command in a dyno of its own, and leave it alone",
  usage: "COMMAND [ARGUMENTS…]",
  runsProgram: true,
  examples: ["stator run:detached -- npm run import"],
  flags: {
    ...appFlags,
    ...environmentFlag,
    ...sizeFlag,
    ...typeFlag,
    tail: { type: "boolean", short: "t", summary: "follow its log, until Ctrl-C" },
    "no-launcher": idleFlags["no-launcher"],
    // Without a letter: it may be the program's.
    json: { type: "boolean", summary: "print JSON" },
  },
  async run(context) {
    const { flags, paint, action, print, printJson } = context;
    const app = await context.app();
    const line = remoteCommand(context.args);
    const dyno = await action(
      `Running ${line} on ${paint.app(app)}`,
      () =>
        answerOf(
          context.api.apps[":app"].dynos.$post({
            param: { app },
            json: {
              ...{ command: line, attach: false, size: flags.size, type: flags.type },
              env: environmentOf(flags.env ?? ""),
            },
          }),
        ),
      ({ name }) => name,
    );
    if (flags.json) printJson(dyno);
    else if (!flags.tail)
      print(`Run stator logs --app ${dyno.app.name} --dyno ${dyno.name} to view the output.`);
    if (flags.tail) await logs.run(context.world, tailOf(dyno));
  },
});

function tailOf(dyno: { app: { name: string }; name: string }) {
  return { flags: { app: dyno.app.name, dyno: dyno.name, tail: true }, args: [] };
}

function environmentOf(text: string): Record<string, string> {
  const pairs = text.split(";").filter((pair) => pair !== "");
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf("=");
      if (equals < 1) throw new CommandFailure(`--env has ${pair}; write it as NAME=value`);
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}

export default {
  name: "run",
  summary: "one-off dynos: a shell, a task, a look around",
  commands: { run, "run:detached": detached, "run:inside": inside },
} satisfies Topic;
