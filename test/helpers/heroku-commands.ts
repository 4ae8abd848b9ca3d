import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commands } from "../../src/cli/commands/registry.ts";
import notHere from "../cli/heroku-commands-not-here.json";

interface Manifest {
  commands: Record<
    string,
    {
      hidden?: boolean;
      aliases?: string[];
      hiddenAliases?: string[];
      flags?: Record<string, { char?: string; type: "boolean" | "option" }>;
    }
  >;
}

/**
 * Every word that Heroku's command line knows, names, aliases and flags (`apps:info`, `apps:info --shell`,
 * `apps:info -s`, read from its package), by whether ours has it and by whether it stands in the list of
 * what is not here: `notHere` has whole nouns too (`spaces`).
 */
export function compareCommands(modules: string) {
  const path = join(modules, "heroku/oclif.manifest.json");
  const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest;
  const excused = new Map(notHere.flatMap(({ words }) => words.map((word) => [word, 0])));
  const missing: string[] = [];
  let here = 0;
  const hold = (isHere: boolean, word: string, excuses: string[]) => {
    const excuse = excuses.find((one) => excused.has(one));
    if (excuse !== undefined && !isHere) excused.set(excuse, (excused.get(excuse) ?? 0) + 1);
    if (isHere) here++;
    else if (excuse === undefined) missing.push(word);
  };
  for (const [id, theirs] of Object.entries(manifest.commands)) {
    if (theirs.hidden) continue;
    const nouns = id.split(":").map((_, index, all) => all.slice(0, index + 1).join(":"));
    for (const name of [id, ...(theirs.aliases ?? []), ...(theirs.hiddenAliases ?? [])])
      hold(commands.has(name), name, [name, ...nouns]);
    const ours = commands.get(id);
    if (!ours) continue;
    const letters = new Set(Object.values(ours.flags).map(({ short }) => short));
    for (const [name, { char, type }] of Object.entries(theirs.flags ?? {})) {
      const flag = ours.flags[name];
      const isSame = flag !== undefined && (flag.type === "boolean") === (type === "boolean");
      const excuses = [`${id} --${name}`, `--${name}`];
      hold(isSame, `${id} --${name}`, excuses);
      if (isSame && char) hold(letters.has(char), `${id} -${char}`, [`${id} -${char}`]);
    }
  }
  return {
    here,
    missing,
    /** What stands in the list and is here by now, or is none of Heroku's. */
    outdated: [...excused].filter(([, count]) => count === 0).map(([word]) => word),
  };
}
