import { appFlags, command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { tableLines } from "../layout.ts";

const regions = command({
  summary: "list where apps can run: this machine",
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const all = await answerOf(api.regions.$get());
    if (flags.json) return printJson(all);
    for (const line of tableLines(all.map(({ name, description }) => [name, description])))
      print(line);
  },
});

const stacks = command({
  summary: "list what apps can run on; the app's own has a star",
  aliases: ["stack", "apps:stacks"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const { name, build_stack: own } = await answerOf(api.apps[":app"].$get({ param }));
    const all = await answerOf(api.stacks.$get());
    if (flags.json) return printJson(all);
    print(paint.header(`${paint.app(name)} Available Stacks`));
    print();
    for (const stack of all) print(`${stack.name === own.name ? "*" : " "} ${stack.name}`);
  },
});

const sizes = command({
  summary: "list how large a dyno can be",
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const all = await answerOf(api["dyno-sizes"].$get());
    if (flags.json) return printJson(all);
    const rows = all.map(({ name, memory, compute }) => [
      name,
      `${memory} GB`,
      `compute ${compute}`,
    ]);
    for (const line of tableLines(rows)) print(line);
  },
});

export default {
  name: "platform",
  summary: "what this platform has: stacks, sizes, regions",
  commands: { regions, stacks, sizes },
} satisfies Topic;
