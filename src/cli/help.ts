import type { Command, Flags, Topic } from "./command.ts";
import { type Paint, tableLines } from "./layout.ts";
import { helpFlag } from "./parse.ts";

/** What `stator --help` says. */
export function generalHelp(topics: Topic[], paint: Paint): string[] {
  const rows = topics.map(({ name, summary }) => [`  ${name}`, summary]);
  return [
    "A self-hosted Heroku in one executable.",
    "",
    paint.header("Usage"),
    "",
    "  stator COMMAND [FLAGS] [ARGUMENTS]",
    "",
    paint.header("Begin"),
    "",
    ...tableLines([
      ["  stator login", "store the token that the server made"],
      ["  stator create", "create an app, and a git remote for it"],
      ["  git push stator main", "build it and run it"],
      ["  stator open", "look at it"],
      ["  stator logs --tail", "hear what it says"],
    ]),
    "",
    paint.header("Topics"),
    "",
    ...tableLines(rows),
    "",
    ...exitStatusLines,
    "",
    "More: stator help TOPIC, stator COMMAND --help. The server: stator server --help",
  ];
}

/** For scripts. */
export const exitStatusLines = [
  "Exit status: 0 done, 1 not done (the message says why), 2 written wrongly; of run, run:inside, ps:exec",
  "and heroku: that of the program. Answers go to standard output, all other words to standard error.",
  "NO_COLOR, or a pipe, takes the colours away.",
];

export function topicHelp({ summary, commands }: Topic, paint: Paint): string[] {
  const rows = Object.entries(commands).map(([name, command]) => [
    `  ${[name, command.usage].filter(Boolean).join(" ")}`,
    command.summary + aliasText(command),
  ]);
  return [
    summary,
    "",
    paint.header("Commands"),
    "",
    ...tableLines(rows),
    "",
    "More: stator COMMAND --help",
  ];
}

export function commandHelp(name: string, command: Command, paint: Paint): string[] {
  const all: Flags = { ...command.flags, help: helpFlag };
  const flags = Object.entries(all).map(([flag, declared]) => {
    const value = declared.value === undefined ? "" : ` ${declared.value}`;
    const short = declared.short === undefined ? "    " : `-${declared.short}, `;
    return [`  ${short}--${flag}${value}`, declared.summary];
  });
  const section = (title: string, lines: string[]) =>
    lines.length === 0 ? [] : ["", paint.header(title), "", ...lines];
  const flagsWord = command.passesAllOn ? "" : command.runsProgram ? "[FLAGS] --" : "[FLAGS]";
  return [
    command.summary + aliasText(command),
    ...section("Usage", [`  stator ${[name, flagsWord, command.usage].filter(Boolean).join(" ")}`]),
    ...section("Flags", tableLines(flags)),
    ...(command.details === undefined ? [] : ["", command.details]),
    ...section(
      "Examples",
      (command.examples ?? []).map((example) => `  $ ${example}`),
    ),
  ];
}

function aliasText({ aliases = [] }: Command): string {
  return aliases.length === 0 ? "" : ` (also ${aliases.join(", ")})`;
}
