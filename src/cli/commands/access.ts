import { appFlags, command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { UsageFailure } from "../failures.ts";
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

const given = ["deploy", "operate", "view"];
const permissionsFlag = {
  permissions: {
    type: "string",
    short: "p",
    value: "WORDS",
    summary: `split at commas; here always ${given.join(",")}`,
  },
} as const;

/** Heroku's scripts name permissions; less than all would be a promise that is not kept here. */
function refuseOtherPermissions(permissions: string | undefined): void {
  if (permissions === undefined) return;
  const words = new Set(permissions.split(",").map((word) => word.trim()));
  if (words.has("manage"))
    throw new UsageFailure(
      "--permissions has manage, which only the owner of an app may.\nHand the app over: stator apps:transfer EMAIL -a APP",
    );
  const unknown = [...words].find((word) => !given.includes(word));
  if (unknown !== undefined)
    throw new UsageFailure(`--permissions has ${unknown}, but there is: ${given.join(", ")}.`);
  if (!words.has("deploy") || !words.has("operate"))
    throw new UsageFailure(
      `--permissions is ${permissions}, but who works on an app here may ${given.join(", ")}, not less.\nAdd them with all of these: -p ${given.join(",")}`,
    );
}

const add = command({
  summary: "let someone work on an app: all but destroying, sharing and transferring it",
  usage: "EMAIL",
  aliases: ["sharing:add"],
  details:
    "Who has no account yet gets one; the link to choose a password is printed, to be passed on.",
  examples: ["stator access:add friend@example.com -a my-shop"],
  flags: { ...appFlags, ...permissionsFlag, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, printJson } = context;
    const [user = ""] = args;
    refuseOtherPermissions(flags.permissions);
    const app = await context.app();
    const someone = await action(
      `Adding ${paint.key(user)} access to the app ${paint.app(app)}`,
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
      `Removing ${paint.key(user)} access from the app ${paint.app(app)}`,
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
