import { appFlags, command, jsonFlag } from "../command.ts";
import { answerOf } from "../connect.ts";
import { durationInWords, readDuration } from "../duration.ts";
import { UsageFailure } from "../failures.ts";

export const sleep = command({
  summary: "let an app sleep when nobody asks for it, or show whether it does",
  usage: "[APP]",
  details:
    "After so long without a request its dynos are stopped; the next request starts them and waits.\nDynos of the size Eco sleep after 30 minutes anyway.",
  examples: ["stator ps:sleep my-app --after 30m", "stator ps:sleep my-app --off"],
  flags: {
    ...appFlags,
    after: { type: "string", value: "TIME", summary: "as in 90s, 30m or 2h" },
    off: { type: "boolean", summary: "never, unless its size is Eco" },
    ...jsonFlag,
  },
  async run(context) {
    const { api, args, flags, paint, print, printJson, action } = context;
    const app = args[0] === undefined ? await context.app() : encodeURIComponent(args[0]);
    const param = { app };
    if (flags.after !== undefined && flags.off)
      throw new UsageFailure("--after and --off are two different things: give one of them.");
    if (flags.after === undefined && !flags.off) {
      const { name, sleep_after: seconds } = await answerOf(api.apps[":app"].$get({ param }));
      if (flags.json) return printJson({ sleep_after: seconds });
      return print(
        seconds === null
          ? `${paint.app(name)} does not sleep, unless its web dynos are Eco.`
          : `${paint.app(name)} sleeps after ${durationInWords(seconds)} without a request.`,
      );
    }
    const seconds = flags.off ? null : readDuration("--after", flags.after ?? "");
    const changed = await action(
      `Setting sleep of ${paint.app(app)}`,
      () => answerOf(api.apps[":app"].$patch({ param, json: { sleep_after: seconds } })),
      () => (seconds === null ? "off" : `after ${durationInWords(seconds)}`),
    );
    if (flags.json) printJson({ sleep_after: changed.sleep_after });
  },
});
