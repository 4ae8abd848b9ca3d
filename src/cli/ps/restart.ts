import { appFlags, command, type Context, jsonFlag } from "../command.ts";
import { answerOf } from "../connect.ts";
import { UsageFailure } from "../failures.ts";

const whichFlags = {
  ...appFlags,
  "dyno-name": { type: "string", short: "d", value: "DYNO", summary: "this dyno, as in web.1" },
  "process-type": { type: "string", short: "p", value: "TYPE", summary: "all dynos of this type" },
  ...jsonFlag,
} as const;

/** The dyno or type that is meant, by an argument (as people type) or a flag (as Heroku has it by now). */
function whichOf({ args, flags }: Pick<Context<typeof whichFlags>, "args" | "flags">) {
  return flags["dyno-name"] ?? flags["process-type"] ?? args[0];
}

export const restart = command({
  summary: "restart all dynos of an app, those of a type, or one",
  usage: "[DYNO|TYPE]",
  aliases: ["restart", "dyno:restart"],
  examples: ["stator ps:restart", "stator ps:restart web", "stator ps:restart web.1"],
  flags: whichFlags,
  async run(context) {
    const { api, flags, paint, action, printJson } = context;
    const app = await context.app();
    const { name } = await answerOf(api.apps[":app"].$get({ param: { app } }));
    const what = whichOf(context);
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
  usage: "[DYNO|TYPE]",
  aliases: ["stop", "kill", "ps:kill", "dyno:stop", "dyno:kill"],
  examples: ["stator ps:stop run.1828", "stator ps:stop web.1", "stator ps:stop worker"],
  flags: whichFlags,
  async run(context) {
    const { api, flags, paint, action, printJson } = context;
    const app = await context.app();
    const { name } = await answerOf(api.apps[":app"].$get({ param: { app } }));
    const what = whichOf(context);
    if (what === undefined)
      throw new UsageFailure("Which dyno? stator ps:stop DYNO, or stator ps:stop TYPE");
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
