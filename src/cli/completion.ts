import type { Command, Topic } from "./command.ts";
import { helpFlag } from "./parse.ts";

export interface Candidate {
  word: string;
  summary: string;
}

/** What the last word of a line may become, and whether apps are among it. */
export interface Completion {
  candidates: Candidate[];
  /** The value of `--app` is being written: what the server knows is to be added. */
  wantsApps: boolean;
}

/** Completes `stator ps:sc` or `stator logs --ta`; `line` ends at the cursor. Pure. */
export function complete(
  line: string,
  known: { topics: readonly Topic[]; commands: ReadonlyMap<string, Command> },
): Completion {
  const [, ...words] = line.trimStart().split(/\s+/);
  const last = words.at(-1) ?? "";
  const fitting = (candidates: Candidate[]) =>
    candidates.filter(({ word }) => word.startsWith(last));
  if (words.length <= 1) return { candidates: fitting(firstWords(known)), wantsApps: false };
  const [first = "", ...rest] = words;
  if (first === "help")
    return { candidates: rest.length === 1 ? fitting(firstWords(known)) : [], wantsApps: false };
  const command = known.commands.get(first);
  if (!command || words.includes("--")) return { candidates: [], wantsApps: false };
  const before = words.at(-2) ?? "";
  const flags = Object.entries({ ...command.flags, help: helpFlag });
  const awaited = flags.find(
    ([name, { type, short }]) =>
      type === "string" && (before === `--${name}` || (short && before === `-${short}`)),
  );
  if (awaited) return { candidates: [], wantsApps: awaited[0] === "app" };
  if (!last.startsWith("-")) return { candidates: [], wantsApps: false };
  const written = new Set(words.slice(0, -1));
  const open = flags.filter(([name]) => !written.has(`--${name}`));
  return {
    candidates: fitting(open.map(([name, { summary }]) => ({ word: `--${name}`, summary }))),
    wantsApps: false,
  };
}

function firstWords({ topics, commands }: Parameters<typeof complete>[1]): Candidate[] {
  const all = new Map([["help", "explain a topic or a command"]]);
  for (const topic of topics) all.set(topic.name, topic.summary);
  for (const [word, { summary }] of commands) all.set(word, summary);
  return [...all].map(([word, summary]) => ({ word, summary }));
}

/** What a shell evaluates to ask us at each Tab. Bash takes the part of a word after a colon for a word. */
export const completionScripts: Record<string, string> = {
  bash: `_stator() {
  local line=\${COMP_LINE:0:COMP_POINT} word before
  word=\${line##*[[:space:]]}
  mapfile -t COMPREPLY < <(stator completion --line "$line" 2>/dev/null | cut -f 1)
  if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
    before=\${word%"\${word##*:}"}
    COMPREPLY=("\${COMPREPLY[@]#"$before"}")
  fi
}
complete -o default -F _stator stator
`,
  zsh: `#compdef stator
_stator() {
  local -a rows words
  rows=(\${(f)"$(stator completion --line "$LBUFFER" 2>/dev/null)"})
  words=(\${rows%%$'\\t'*})
  if (( $#words )); then compadd -l -d rows -a words; else _files; fi
}
compdef _stator stator
`,
  fish: `complete -c stator -e
complete -c stator -f -a '(stator completion --line (commandline -cp) 2>/dev/null)'
`,
};
