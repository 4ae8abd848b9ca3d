import { commands, topics } from "./commands/registry.ts";
import { CommandFailure, UsageFailure } from "./failures.ts";
import { commandHelp, generalHelp, topicHelp } from "./help.ts";
import { paint } from "./layout.ts";
import { nearest } from "../lib/nearest.ts";
import { parseCommand } from "./parse.ts";
import { version } from "../lib/version.ts";
import { realWorld, type World } from "./world.ts";

/** Runs one command line; returns its exit status: 0, 1 (it failed), 2 (it was written wrongly), or that of a one-off. */
export async function runCli(argv: string[], world: World = realWorld()): Promise<number> {
  try {
    return await runCommand(argv, world);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const { red } = paint(world.settings.terminal.colour);
    for (const line of error.message.split("\n")) world.err(` ${red("▸")}    ${line}\n`);
    return error.exitStatus;
  } finally {
    await world.flush();
  }
}

async function runCommand([name, ...argv]: string[], world: World): Promise<number> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help")
    return explain(argv[0], world);
  if (name === "version" || name === "--version" || name === "-v") {
    world.out(`stator/${version} ${process.platform}-${process.arch}\n`);
    return 0;
  }
  const command = commands.get(name);
  if (!command) throw unknownCommand(name);
  const given = parseCommand(name, command, argv);
  if (given.flags.help === true) return explain(name, world);
  return command.run(world, given);
}

/** A word may be a topic and a command at once, like `config`: its own help, then the topic's. */
function explain(word: string | undefined, world: World): number {
  const colours = paint(world.settings.terminal.colour);
  const print = (lines: string[]) => world.out(`${lines.join("\n")}\n`);
  if (word === undefined) {
    print(generalHelp(topics, colours));
    return 0;
  }
  const command = commands.get(word);
  const topic = topics.find(({ name }) => name === word);
  if (!command && !topic) throw unknownCommand(word);
  if (command) print(commandHelp(word, command, colours));
  if (command && topic) print([""]);
  if (topic) print(topicHelp(topic, colours));
  return 0;
}

function unknownCommand(name: string): UsageFailure {
  const words = [...commands.keys(), ...topics.map((topic) => topic.name), "help", "version"];
  const guess = nearest(name, words);
  return new UsageFailure(
    `${name} is not a stator command.${guess === undefined ? "" : `\nDid you mean ${guess}?`}\nSee all: stator help`,
  );
}
