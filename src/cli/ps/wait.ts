import { appFlags, command, jsonFlag } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { withProgress } from "../progress.ts";

export const wait = command({
  summary: "wait until every dyno runs the newest release",
  flags: {
    ...appFlags,
    type: { type: "string", short: "t", value: "TYPE", summary: "only dynos of this type" },
    "with-run": { type: "boolean", short: "R", summary: "one-off dynos too" },
    "wait-interval": { type: "string", short: "w", value: "SECONDS", summary: "look so often (1)" },
    ...jsonFlag,
  },
  async run(context) {
    const { api, flags, paint, printJson, world } = context;
    const param = { app: await context.app() };
    const interval = Number(flags["wait-interval"] ?? 1);
    if (!(interval > 0 && interval <= 3600))
      throw new UsageFailure(`--wait-interval is ${flags["wait-interval"]}, but must be seconds.`);
    const newest = { headers: { Range: "version ..; max=1, order=desc" } };
    const [release] = await answerOf(api.apps[":app"].releases.$get({ param }, newest));
    if (!release?.slug) throw new CommandFailure("This app has no code yet: git push stator main");
    const title = `Waiting for every dyno to be running v${release.version}`;
    const dynos = await withProgress(world, title, async (progress) => {
      for (let last = ""; ; await Bun.sleep(interval * 1000)) {
        const wanted = (await answerOf(api.apps[":app"].dynos.$get({ param })))
          .filter((dyno) => flags["with-run"] === true || !/^(run|release)$/.test(dyno.type))
          .filter((dyno) => flags.type === undefined || dyno.type === flags.type);
        const ready = wanted.filter(
          (dyno) => dyno.state === "up" && dyno.release.version >= release.version,
        );
        const now = `${ready.length} / ${wanted.length}`;
        if (ready.length === wanted.length) {
          progress.end(`${now}, done`);
          return wanted;
        }
        const crashed = wanted.find((dyno) => dyno.state === "crashed");
        if (crashed)
          throw new CommandFailure(
            `${crashed.name} has crashed on ${paint.app(release.app.name)}. See what it said: stator logs --dyno ${crashed.name}`,
          );
        if (now !== last) progress.note(now);
        last = now;
      }
    });
    if (flags.json) printJson(dynos);
  },
});
