import { startProgram } from "../attached-program.ts";
import { appFlags, command } from "../command.ts";
import { remoteCommand } from "../remote-command.ts";

const flags = {
  ...appFlags,
  dyno: { type: "string", short: "d", value: "DYNO", summary: "the dyno to enter (web.1)" },
  "no-tty": { type: "boolean", summary: "give it pipes instead of a terminal" },
} as const;

export const exec = command({
  summary: "open a shell inside a dyno that runs",
  usage: "[COMMAND] [ARGUMENTS…]",
  runsProgram: true,
  details: "Without a command it is bash. It sees what the dyno's own processes see.",
  examples: ["stator ps:exec", "stator ps:exec --dyno worker.1", "stator ps:exec -- ps aux"],
  flags,
  run: (context) =>
    startProgram(context, {
      inside: context.flags.dyno ?? "web.1",
      line: context.args.length === 0 ? "bash" : remoteCommand(context.args),
    }),
});

export const inside = command({
  summary: "run a command inside a dyno that runs",
  usage: "DYNO COMMAND [ARGUMENTS…]",
  runsProgram: true,
  examples: ["stator run:inside web.1 -- ps aux"],
  flags: {
    ...flags,
    "exit-code": { type: "boolean", short: "x", summary: "pass on its exit status (always done)" },
    "no-launcher": { type: "boolean", summary: "no launcher is put before it (none ever is)" },
  },
  run(context) {
    const [dyno = "", ...words] = context.args;
    return startProgram(context, { inside: dyno, line: remoteCommand(words) });
  },
});
