import { appFlags, command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { UsageFailure } from "../failures.ts";
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

const setStack = command({
  summary: "change what the next build of an app is for: the machine's stack, or container",
  usage: "STACK",
  examples: ["stator stack:set container"],
  aliases: ["stacks:set", "apps:stacks:set"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, print, printJson } = context;
    const [stack] = args;
    if (stack === undefined || args.length > 1)
      throw new UsageFailure("Name one stack. See stator stacks.");
    const param = { app: await context.app() };
    const app = await action(`Setting stack to ${stack}`, () =>
      answerOf(api.apps[":app"].$patch({ param, json: { build_stack: stack } })),
    );
    if (flags.json) return printJson(app);
    print(`You will need to redeploy ${paint.app(app.name)} for the change to take effect.`);
    print(`Run git push stator main to trigger a new build on ${paint.app(app.name)}.`);
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
  commands: { regions, stacks, "stack:set": setStack, sizes },
} satisfies Topic;
