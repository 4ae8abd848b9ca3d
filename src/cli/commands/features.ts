import type { FeatureAnswer } from "../../api/client.ts";
import { appFlags, command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { keyValueLines } from "../layout.ts";

const flags = { ...appFlags, ...jsonFlag };

const list = command({
  summary: "list what an app can be told to do otherwise",
  aliases: ["labs"],
  flags,
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const features = await answerOf(api.apps[":app"].features.$get({ param }));
    if (flags.json) return printJson(features);
    print(paint.header(`App Features ${paint.app(param.app)}`));
    print();
    const width = Math.max(...features.map(({ name }) => name.length));
    for (const { name, enabled, description } of features)
      print(`${enabled ? "[+]" : "[ ]"} ${name.padEnd(width)}  ${description}`);
  },
});

const info = command({
  summary: "show a feature of an app",
  usage: "FEATURE",
  aliases: ["labs:info"],
  flags,
  async run(context) {
    const { api, args, flags, paint, print, printJson } = context;
    const param = { app: await context.app(), feature: encodeURIComponent(args[0] as string) };
    const feature = await answerOf(api.apps[":app"].features[":feature"].$get({ param }));
    if (flags.json) return printJson(feature);
    print(paint.header(feature.name));
    for (const line of keyValueLines([
      ["Description", feature.description],
      ["Enabled", String(feature.enabled)],
    ]))
      print(line);
  },
});

const turn = (enabled: boolean) =>
  command({
    summary: enabled ? "turn a feature of an app on" : "turn a feature of an app off",
    usage: "FEATURE",
    aliases: [enabled ? "labs:enable" : "labs:disable"],
    examples: [`stator features:${enabled ? "enable" : "disable"} preboot`],
    flags,
    async run(context) {
      const { api, args, flags, paint, printJson, action } = context;
      const param = { app: await context.app(), feature: encodeURIComponent(args[0] as string) };
      const feature: FeatureAnswer = await action(
        `${enabled ? "Enabling" : "Disabling"} ${args[0]} for ${paint.app(param.app)}`,
        () => answerOf(api.apps[":app"].features[":feature"].$patch({ param, json: { enabled } })),
      );
      if (flags.json) printJson(feature);
    },
  });

export default {
  name: "features",
  summary: "what an app can be told to do otherwise: preboot and the like",
  commands: {
    features: list,
    "features:info": info,
    "features:enable": turn(true),
    "features:disable": turn(false),
  },
} satisfies Topic;
