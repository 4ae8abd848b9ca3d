import { appFlags, command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { tableLines } from "../layout.ts";

const access = command({
  summary: "list who may work on an app",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, flags, print, printJson } = context;
    const param = { app: await context.app() };
    const people = await answerOf(api.apps[":app"].collaborators.$get({ param }));
    if (flags.json) return printJson(people);
    const rows = people.map(({ user, role, permissions }) => [
      ...[user.email, role],
      permissions.map(({ name }) => name).join(", "),
    ]);
    for (const line of tableLines(rows)) print(line);
  },
});

const add = command({
  summary: "let someone work on an app: all but destroying, sharing and transferring it",
  usage: "EMAIL",
  aliases: ["sharing:add"],
  details:
    "Who has no account yet gets one; the link to choose a password is printed, to be passed on.",
  examples: ["stator access:add friend@example.com -a my-shop"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, printJson } = context;
    const [user = ""] = args;
    const app = await context.app();
    const someone = await action(
      `Adding ${paint.key(user)} access to the app ${paint.app(decodeURIComponent(app))}`,
      () => answerOf(api.apps[":app"].collaborators.$post({ param: { app }, json: { user } })),
    );
    if (flags.json) printJson(someone);
  },
});

const remove = command({
  summary: "let someone work on an app no more",
  usage: "EMAIL",
  aliases: ["sharing:remove"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, printJson } = context;
    const [user = ""] = args;
    const app = await context.app();
    const param = { app, collaborator: encodeURIComponent(user) };
    const someone = await action(
      `Removing ${paint.key(user)} access from the app ${paint.app(decodeURIComponent(app))}`,
      () => answerOf(api.apps[":app"].collaborators[":collaborator"].$delete({ param })),
    );
    if (flags.json) printJson(someone);
  },
});

export default {
  name: "access",
  summary: "who may work on an app",
  commands: { access, "access:add": add, "access:remove": remove },
} satisfies Topic;
