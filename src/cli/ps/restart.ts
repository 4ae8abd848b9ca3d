import { appFlags, command, jsonFlag } from "../command.ts";
import { answerOf } from "../connect.ts";

export const restart = command({
  summary: "restart all dynos of an app, those of a type, or one",
  usage: "[DYNO|TYPE]",
  aliases: ["restart", "dyno:restart"],
  examples: ["stator ps:restart", "stator ps:restart web", "stator ps:restart web.1"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, printJson } = context;
    const app = await context.app();
    const { name } = await answerOf(api.apps[":app"].$get({ param: { app } }));
    const [what] = args;
    const param = {
      app,
      dyno: encodeURIComponent(what ?? ""),
      type: encodeURIComponent(what ?? ""),
    };
    const [title, request] =
      what === undefined
        ? ["all dynos", () => api.apps[":app"].dynos.$delete({ param })]
        : what.includes(".")
          ? [`dyno ${what}`, () => api.apps[":app"].dynos[":dyno"].$delete({ param })]
          : [`all ${what} dynos`, () => api.apps[":app"].formations[":type"].$delete({ param })];
    const done = await action(`Restarting ${title} on ${paint.app(name)}`, () =>
      answerOf(request()),
    );
    if (flags.json) printJson(done);
  },
});

export const stop = command({
  summary: "end a one-off dyno; other dynos are stopped and started again",
  usage: "DYNO|TYPE",
  aliases: ["stop", "kill", "ps:kill", "dyno:stop", "dyno:kill"],
  examples: ["stator ps:stop run.1828", "stator ps:stop web.1", "stator ps:stop worker"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, printJson } = context;
    const app = await context.app();
    const { name } = await answerOf(api.apps[":app"].$get({ param: { app } }));
    const what = args[0] as string;
    const word = encodeURIComponent(what);
    const ofApp = api.apps[":app"];
    const [title, request] = what.includes(".")
      ? [
          `dyno ${what}`,
          () => ofApp.dynos[":dyno"].actions.stop.$post({ param: { app, dyno: word } }),
        ]
      : [
          `all ${what} dynos`,
          () => ofApp.formations[":type"].actions.stop.$post({ param: { app, type: word } }),
        ];
    const done = await action(`Stopping ${title} on ${paint.app(name)}`, () => answerOf(request()));
    if (flags.json) printJson(done);
  },
});
