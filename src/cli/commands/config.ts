import type { Client } from "../../api/client.ts";
import { appFlags, command, jsonFlag, shellFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { edited } from "../editor.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { keyValueLines, shellQuoted } from "../layout.ts";

const config = command({
  summary: "list the config vars of an app",
  flags: { ...appFlags, ...shellFlag, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const vars = await answerOf(api.apps[":app"]["config-vars"].$get({ param }));
    const sorted = Object.entries(vars).toSorted(([a], [b]) => (a < b ? -1 : 1));
    if (flags.json) return printJson(vars);
    if (flags.shell) {
      for (const [key, value] of sorted) print(`${key}=${shellQuoted(value)}`);
      return;
    }
    const { name } = await answerOf(api.apps[":app"].$get({ param }));
    print(paint.header(`${paint.app(name)} Config Vars`));
    print();
    for (const line of keyValueLines(sorted, paint.key)) print(line);
  },
});

const get = command({
  summary: "print one config var, nothing else",
  usage: "KEY…",
  flags: { ...appFlags, ...shellFlag, ...jsonFlag },
  async run(context) {
    const { api, args, flags, print, printJson } = context;
    const param = { app: await context.app() };
    const vars = await answerOf(api.apps[":app"]["config-vars"].$get({ param }));
    if (flags.json)
      return printJson(Object.fromEntries(args.map((key) => [key, vars[key] ?? null])));
    for (const key of args)
      print(flags.shell ? `${key}=${shellQuoted(vars[key] ?? "")}` : (vars[key] ?? ""));
  },
});

const set = command({
  summary: "set config vars: one release, and a restart",
  usage: "KEY=VALUE…",
  aliases: ["config:add"],
  examples: ["stator config:set A=1 B='two words'"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { args, api, flags, paint, action, print, printJson } = context;
    const change = Object.fromEntries(args.map(assignment));
    const keys = Object.keys(change);
    const app = await context.app();
    const vars = await action(
      `Setting ${keys.join(", ")} and restarting ${paint.app(app)}`,
      () => changeConfig(api, { app, change }),
      ({ version }) => `v${version}`,
    );
    if (flags.json) return printJson(vars.all);
    for (const line of keyValueLines(
      keys.map((key) => [key, vars.all[key] ?? ""]),
      paint.key,
    ))
      print(line);
  },
});

const unset = command({
  summary: "remove config vars: one release, and a restart",
  usage: "KEY…",
  aliases: ["config:remove"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { args, api, flags, paint, action, printJson } = context;
    const app = await context.app();
    const vars = await action(
      `Unsetting ${args.join(", ")} and restarting ${paint.app(app)}`,
      () => changeConfig(api, { app, change: Object.fromEntries(args.map((key) => [key, null])) }),
      ({ version }) => `v${version}`,
    );
    if (flags.json) printJson(vars.all);
  },
});

const edit = command({
  summary: "change config vars in your editor: one release, and a restart",
  usage: "[KEY]",
  details:
    "With a KEY its value is the file; else all of them are, as JSON. What is no longer there is removed.",
  examples: ["stator config:edit", "EDITOR='code --wait' stator config:edit KEY"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { args, api, flags, paint, action, printJson, world } = context;
    const [key] = args;
    const app = await context.app();
    const before = await answerOf(api.apps[":app"]["config-vars"].$get({ param: { app } }));
    const text = await edited(
      world,
      key === undefined ? `${JSON.stringify(before, null, 2)}\n` : `${before[key] ?? ""}\n`,
      key === undefined ? "config.json" : "value",
    );
    const after = key === undefined ? readVars(text) : { ...before, [key]: text.slice(0, -1) };
    const change = differenceBetween(before, after);
    const keys = Object.keys(change);
    if (keys.length === 0) throw new CommandFailure("No changes were made.");
    const vars = await action(
      `Updating ${keys.join(", ")} and restarting ${paint.app(app)}`,
      () => changeConfig(api, { app, change }),
      ({ version }) => `v${version}`,
    );
    if (flags.json) printJson(vars.all);
  },
});

/** What is to be set, and (with null) removed. Pure. */
function differenceBetween(before: Record<string, string>, after: Record<string, string>) {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = keys.filter((key) => before[key] !== after[key]);
  return Object.fromEntries(changed.map((key) => [key, after[key] ?? null]));
}

function readVars(text: string): Record<string, string> {
  try {
    const vars = JSON.parse(text) as Record<string, unknown>;
    if (Object.values(vars).every((value) => typeof value === "string"))
      return vars as Record<string, string>;
  } catch (error) {
    throw new CommandFailure(`That is not JSON, nothing was changed: ${(error as Error).message}`);
  }
  throw new CommandFailure("Every value has to be a text in quotes. Nothing was changed.");
}

function assignment(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 1)
    throw new UsageFailure(
      `${text} is invalid. Write it as NAME=value, as in stator config:set A=1`,
    );
  return [text.slice(0, equals), text.slice(equals + 1)];
}

async function changeConfig(
  api: Client,
  { app, change }: { app: string; change: Record<string, string | null> },
): Promise<{ all: Record<string, string>; version: number }> {
  const param = { app };
  const all = await answerOf(api.apps[":app"]["config-vars"].$patch({ param, json: change }));
  const [newest] = await answerOf(
    api.apps[":app"].releases.$get(
      { param },
      { headers: { Range: "version ..; order=desc,max=1" } },
    ),
  );
  return { all, version: newest?.version ?? 0 };
}

export default {
  name: "config",
  summary: "config vars: what an app finds in its environment",
  commands: {
    config,
    "config:get": get,
    "config:set": set,
    "config:unset": unset,
    "config:edit": edit,
  },
} satisfies Topic;
