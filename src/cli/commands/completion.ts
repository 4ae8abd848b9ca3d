import { command, type Topic } from "../command.ts";
import { complete, completionScripts } from "../completion.ts";
import { answerOf } from "../connect.ts";
import { UsageFailure } from "../failures.ts";

/** A Tab is not waited for longer. */
const answerWithinMs = 1500;

const completion = command({
  summary: "have Tab complete commands, flags and apps in your shell",
  usage: "[SHELL]",
  aliases: ["autocomplete"],
  details:
    'Prints what your shell is to evaluate at its start:\n  bash   eval "$(stator completion bash)"      in ~/.bashrc\n  zsh    eval "$(stator completion zsh)"       in ~/.zshrc, after compinit\n  fish   stator completion fish | source       in ~/.config/fish/config.fish',
  examples: ['eval "$(stator completion bash)"'],
  flags: {
    line: { type: "string", value: "LINE", summary: "print what the end of this line may become" },
  },
  async run(context) {
    const { flags, args, world } = context;
    if (flags.line === undefined) {
      const shell = args[0] ?? world.settings.shell.split("/").at(-1) ?? "";
      const script = Object.hasOwn(completionScripts, shell) && completionScripts[shell];
      if (!script)
        throw new UsageFailure(
          `${shell} is no shell that is known here: ${Object.keys(completionScripts).join(", ")}`,
        );
      world.out(script);
      return;
    }
    // Here, and not above: the registry holds this file too.
    const { candidates, wantsApps } = complete(flags.line, await import("./registry.ts"));
    const found = wantsApps ? await appsBeginningWith(flags.line) : candidates;
    for (const { word, summary } of found) world.out(`${word}\t${summary}\n`);

    async function appsBeginningWith(line: string) {
      const begun = /\S*$/.exec(line)?.[0] ?? "";
      const apps = await Promise.race([
        answerOf(context.api.apps.$get()).catch(() => []),
        Bun.sleep(answerWithinMs).then(() => []),
      ]);
      return apps
        .filter(({ name }) => name.startsWith(begun))
        .map(({ name, web_url }) => ({ word: name, summary: web_url ?? "" }));
    }
  },
});

export default {
  name: "completion",
  summary: "Tab in your shell",
  commands: { completion },
} satisfies Topic;
