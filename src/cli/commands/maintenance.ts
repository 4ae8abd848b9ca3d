import { appFlags, command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";

const maintenance = command({
  summary: "print whether visitors see the maintenance page: on or off",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const param = { app: await context.app() };
    const app = await answerOf(context.api.apps[":app"].$get({ param }));
    if (context.flags.json) context.printJson({ maintenance: app.maintenance });
    else context.print(app.maintenance ? "on" : "off");
  },
});

const switchTo = (on: boolean) =>
  command({
    summary: on ? "show the maintenance page to all visitors" : "let visitors in again",
    flags: { ...appFlags, ...jsonFlag },
    async run(context) {
      const { api, flags, paint, action, printJson } = context;
      const app = await context.app();
      const changed = await action(
        `${on ? "Enabling" : "Disabling"} maintenance mode for ${paint.app(app)}`,
        () => answerOf(api.apps[":app"].$patch({ param: { app }, json: { maintenance: on } })),
      );
      if (flags.json) printJson(changed);
    },
  });

export default {
  name: "maintenance",
  summary: "keep visitors out for a while",
  commands: { maintenance, "maintenance:on": switchTo(true), "maintenance:off": switchTo(false) },
} satisfies Topic;
