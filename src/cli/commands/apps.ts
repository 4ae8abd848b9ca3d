import type { AppAnswer, Client } from "../../api/client.ts";
import {
  appFlags,
  command,
  confirmFlag,
  type Context,
  jsonFlag,
  shellFlag,
  type Topic,
} from "../command.ts";
import { confirm } from "../confirm.ts";
import { answerOf } from "../connect.ts";
import { git, insideRepository, listRemotes, setRemote } from "../git-remotes.ts";
import { bytesText, keyValueLines, shellQuoted } from "../layout.ts";
import { openBrowser } from "../open-browser.ts";
import type { World } from "../world.ts";

const create = command({
  summary: "create an app",
  usage: "[NAME]",
  aliases: ["apps:create"],
  examples: ["stator create", "stator create my-shop", "stator create my-shop --remote staging"],
  flags: {
    remote: {
      type: "string",
      short: "r",
      value: "REMOTE",
      summary: "name of the git remote that is made (stator)",
    },
    stack: { type: "string", short: "s", value: "STACK", summary: "what it is built for (host)" },
    region: { type: "string", value: "REGION", summary: "what you call this machine (local)" },
    "no-remote": { type: "boolean", short: "n", summary: "make no git remote" },
    buildpack: { type: "string", short: "b", value: "BUILDPACK", summary: "what builds its code" },
    ...jsonFlag,
  },
  async run({ api, args: [name], flags, paint, action, print, printJson, world }) {
    const app = await action(
      name === undefined ? "Creating app" : `Creating ${paint.app(name)}`,
      () => answerOf(api.apps.$post({ json: { name, stack: flags.stack, region: flags.region } })),
      (app) => (name === undefined ? paint.app(app.name) : ""),
    );
    if (flags.buildpack !== undefined) await setBuildpack(api, app.name, flags.buildpack);
    if (!flags["no-remote"]) await addRemote(world, { name: flags.remote ?? "stator", app });
    if (flags.json) printJson(app);
    else print(`${app.web_url} | ${app.git_url}`);
  },
});

async function setBuildpack(api: Client, app: string, buildpack: string): Promise<void> {
  const json = { updates: [{ buildpack }] };
  await answerOf(api.apps[":app"]["buildpack-installations"].$put({ param: { app }, json }));
}

/** A remote of this name that already leads somewhere stays: it may be another app's. */
async function addRemote(
  world: World,
  { name, app }: { name: string; app: AppAnswer },
): Promise<void> {
  if (!(await insideRepository(world))) return;
  if ((await listRemotes(world)).some((remote) => remote.name === name))
    world.err(
      ` ▸    The git remote ${name} is there already and stays as it is.\n ▸    To point it here: stator git:remote -a ${app.name} -r ${name}\n`,
    );
  else await setRemote(world, { name, url: app.git_url });
}

const list = command({
  summary: "list your apps, and those that you may work on",
  aliases: ["list", "apps:list"],
  flags: {
    personal: { type: "boolean", short: "p", summary: "only those that are yours" },
    all: { type: "boolean", short: "A", summary: "all of them (always done)" },
    ...jsonFlag,
  },
  async run({ api, flags, paint, print, printJson }) {
    const inOrder = { headers: { Range: "name ..; max=1000" } };
    const all = await answerOf(api.apps.$get({}, inOrder));
    const me = flags.personal ? (await answerOf(api.account.$get())).id : undefined;
    const apps = me === undefined ? all : all.filter(({ owner }) => owner.id === me);
    if (flags.json) return printJson(apps);
    if (apps.length === 0) return print("You have no apps. Create one: stator create");
    print(paint.header("Apps"));
    print();
    for (const app of apps) print(app.maintenance ? `${app.name} (maintenance)` : app.name);
  },
});

const info = command({
  summary: "show what there is to know of an app",
  usage: "[APP]",
  aliases: ["apps:info"],
  flags: {
    ...appFlags,
    ...shellFlag,
    ...jsonFlag,
  },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await appOf(context) };
    const app = await answerOf(api.apps[":app"].$get({ param }));
    const formation = await answerOf(api.apps[":app"].formation.$get({ param }));
    if (flags.json) return printJson({ app, formation });
    const dynos = formation.filter(({ quantity }) => quantity > 0);
    if (flags.shell) {
      for (const [key, value] of shellVariables(app, dynos)) print(`${key}=${shellQuoted(value)}`);
      return;
    }
    print(paint.header(paint.app(app.name)));
    print();
    const lines = keyValueLines([
      ["Auto Cert Mgmt", String(app.acm)],
      ["Dynos", dynos.map(({ type, quantity }) => `${type}: ${quantity}`).join(", ")],
      ["Git URL", app.git_url],
      ["Maintenance", app.maintenance ? "on" : null],
      ["Owner", app.owner.email],
      ["Region", app.region.name],
      ["Slug Size", app.slug_size === null ? null : bytesText(app.slug_size)],
      ["Stack", stackText(app)],
      ["Web URL", app.web_url],
    ]);
    for (const line of lines) print(line);
  },
});

/** Heroku's names, in their order. */
function shellVariables(
  app: AppAnswer,
  dynos: { type: string; quantity: number }[],
): [string, string][] {
  return [
    ["auto_cert_mgmt", String(app.acm)],
    ["created_at", app.created_at],
    ["dynos", JSON.stringify(Object.fromEntries(dynos.map((one) => [one.type, one.quantity])))],
    ["git_url", app.git_url],
    ["maintenance", String(app.maintenance)],
    ["owner", app.owner.email],
    ["region", app.region.name],
    ["repo_size", String(app.repo_size ?? "")],
    ["slug_size", String(app.slug_size ?? "")],
    ["stack", app.stack.name],
    ["web_url", app.web_url],
  ];
}

const destroy = command({
  summary: "delete an app with all that belongs to it",
  usage: "[APP]",
  aliases: ["apps:destroy", "apps:delete"],
  flags: {
    ...appFlags,
    ...confirmFlag,
    ...jsonFlag,
  },
  async run(context) {
    const { api, flags, paint, action, printJson, world } = context;
    const param = { app: await appOf(context) };
    const app = await answerOf(api.apps[":app"].$get({ param }));
    await confirm(world, {
      word: app.name,
      given: flags.confirm,
      warning: `This will delete ${paint.app(app.name)} including its releases, config vars, logs and git repository.`,
    });
    const gone = await action(`Destroying ${paint.app(app.name)} (including all add-ons)`, () =>
      answerOf(api.apps[":app"].$delete({ param: { app: app.id } })),
    );
    for (const { name, url } of await listRemotes(world))
      if (url === app.git_url) await git(world, "remote", "remove", name);
    if (flags.json) printJson(gone);
  },
});

const rename = command({
  summary: "give an app another name",
  usage: "NEWNAME",
  aliases: ["apps:rename"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, print, printJson, world } = context;
    const [name = ""] = args;
    const param = { app: await context.app() };
    const before = await answerOf(api.apps[":app"].$get({ param }));
    const after = await action(`Renaming ${paint.app(before.name)} to ${paint.app(name)}`, () =>
      answerOf(api.apps[":app"].$patch({ param, json: { name } })),
    );
    for (const remote of await listRemotes(world))
      if (remote.url === before.git_url)
        await setRemote(world, { name: remote.name, url: after.git_url });
    if (flags.json) printJson(after);
    else print(`${after.web_url} | ${after.git_url}`);
  },
});

const open = command({
  summary: "print the address of an app and open it in a browser",
  usage: "[PATH]",
  aliases: ["apps:open"],
  examples: ["stator open -a my-shop /admin"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, print, printJson, world } = context;
    const param = { app: await context.app() };
    const app = await answerOf(api.apps[":app"].$get({ param }));
    const url = new URL(args[0] ?? "", app.web_url).href;
    if (flags.json) printJson({ url });
    else print(url);
    await openBrowser(world, url);
  },
});

const leave = command({
  summary: "give up your access to an app of someone else",
  aliases: ["apps:leave"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, action, printJson } = context;
    const app = await context.app();
    const { id } = await answerOf(api.account.$get());
    const param = { app, collaborator: id };
    const left = await action(`Leaving ${paint.app(app)}`, () =>
      answerOf(api.apps[":app"].collaborators[":collaborator"].$delete({ param })),
    );
    if (flags.json) printJson(left);
  },
});

/** As Heroku says it while the next build is for another one (contract §9.3). */
function stackText({ stack, build_stack: next }: AppAnswer): string {
  return stack.name === next.name ? stack.name : `${stack.name} (next build will use ${next.name})`;
}

/** These commands take the app as an argument too. */
function appOf(context: Pick<Context<typeof appFlags>, "args" | "app">): Promise<string> {
  const [name] = context.args;
  return name === undefined ? context.app() : Promise.resolve(encodeURIComponent(name));
}

export default {
  name: "apps",
  summary: "create, list, look at and delete apps",
  commands: { apps: list, create, info, rename, open, leave, destroy },
} satisfies Topic;
