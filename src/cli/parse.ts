import { parseArgs } from "node:util";
import { nearest } from "../lib/nearest.ts";
import type { Command, Flag, Flags, FlagValues } from "./command.ts";
import { UsageFailure } from "./failures.ts";

/** Reads the flags and arguments that a command declares; throws a UsageFailure for others. */
export function parseCommand(
  name: string,
  command: Command,
  argv: string[],
): { flags: FlagValues; args: string[] } {
  const asksForHelp = argv.length === 1 && ["--help", "-h"].includes(argv[0] as string);
  if (command.passesAllOn && !asksForHelp) return { flags: {}, args: argv };
  const declared: Flags = { ...command.flags, help: helpFlag };
  const options = Object.fromEntries(
    Object.entries(declared).map(([flag, { type, short }]) => [
      flag,
      { type, ...(short === undefined ? {} : { short }) },
    ]),
  );
  const { own, program } = command.runsProgram
    ? splitProgram(command, argv)
    : { own: argv, program: [] };
  try {
    const { values, positionals } = parseArgs({ args: own, options, allowPositionals: true });
    const args = [...positionals, ...program];
    if (values.help !== true) checkCount(name, command, args);
    return { flags: values as FlagValues, args };
  } catch (error) {
    if (error instanceof UsageFailure) throw error;
    const message = (error as Error).message.split(". To specify")[0] ?? "";
    const [, mistyped] = /^Unknown option '--([^']+)'/.exec(message) ?? [];
    const guess = mistyped === undefined ? undefined : nearest(mistyped, Object.keys(declared));
    throw new UsageFailure(
      `${message}${guess === undefined ? "" : `\nDid you mean --${guess}?`}\nSee stator ${name} --help`,
    );
  }
}

export const helpFlag: Flag = { type: "boolean", short: "h", summary: "explain the command" };

/**
 * Tells our flags from those of a program that is to be run, as Heroku does: after `--` all belongs
 * to the program; before it, flags that we know are ours wherever they stand.
 */
function splitProgram(command: Command, argv: string[]): { own: string[]; program: string[] } {
  const declared: Flags = { ...command.flags, help: helpFlag };
  const [own, program]: [string[], string[]] = [[], []];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] as string;
    if (word === "--") {
      program.push(...argv.slice(index + 1));
      break;
    }
    const [, long, short, value] = /^(?:--([a-z-]+)|-([a-zA-Z]))(=.*)?$/s.exec(word) ?? [];
    const known = Object.entries(declared).find(
      ([flag, { short: letter }]) => flag === long || (letter !== undefined && letter === short),
    );
    // Help is ours only while no program was named: `run node -h` asks node.
    if (!known || (known[0] === "help" && program.length > 0)) program.push(word);
    else {
      own.push(word);
      if (known[1].type === "string" && value === undefined && index + 1 < argv.length)
        own.push(argv[++index] as string);
    }
  }
  return { own, program };
}

function checkCount(name: string, { usage = "" }: Command, args: string[]): void {
  const words = usage.split(" ").filter((word) => word !== "");
  const required = words.filter((word) => !word.startsWith("["));
  const missing = required[args.length];
  if (missing !== undefined)
    throw new UsageFailure(
      `${missing.replace("…", "")} is missing.\nUsage: stator ${name} ${usage}\nSee stator ${name} --help`,
    );
  if (!usage.includes("…") && args.length > words.length)
    throw new UsageFailure(
      `Unexpected argument: ${args[words.length]}\nUsage: stator ${`${name} ${usage}`.trim()}\nSee stator ${name} --help`,
    );
}
