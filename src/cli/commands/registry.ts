import type { Command, Topic } from "../command.ts";

const files = import.meta.glob<{ default: Topic }>("./!(registry).ts", { eager: true });

/** Every file beside this one is a topic. */
export const topics: Topic[] = Object.values(files).map((file) => file.default);

/** Every word that a person may type, aliases too. */
export const commands: ReadonlyMap<string, Command> = new Map(
  topics.flatMap((topic) =>
    Object.entries(topic.commands).flatMap(([name, command]) =>
      [name, ...(command.aliases ?? [])].map((word): [string, Command] => [word, command]),
    ),
  ),
);
