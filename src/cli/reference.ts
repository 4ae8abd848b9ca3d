import type { Topic } from "./command.ts";
import { commandHelp, exitStatusLines } from "./help.ts";
import { paint } from "./layout.ts";

/** `docs/commands.md`: what `stator help` says of every topic and command, on one page. Pure. */
export function commandReference(topics: readonly Topic[]): string {
  const plain = paint(false);
  const sections = topics.flatMap(({ name, summary, commands }) => [
    `## ${name}`,
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    ...Object.entries(commands).flatMap(([word, command]) => [
      `### stator ${word}`,
      `\`\`\`text\n${commandHelp(word, command, plain).join("\n")}\n\`\`\``,
    ]),
  ]);
  const contents = topics.map(({ name, summary }) => `- [${name}](#${name}): ${summary}`);
  return `${["# Commands", "What `stator help COMMAND` says, on one page (`bun run docs` writes it).", exitStatusLines.join("\n"), contents.join("\n"), ...sections].join("\n\n")}\n`;
}
