import { appFlags, command, type Context, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { tableLines } from "../layout.ts";

const indexFlag = {
  index: { type: "string", short: "i", value: "N", summary: "place in the list, from 1" },
} as const;
const changeFlags = { ...appFlags, ...indexFlag, ...jsonFlag };
type Change = Context<typeof changeFlags>;

const list = command({
  summary: "list the buildpacks of an app, in their order",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const installed = await answerOf(api.apps[":app"]["buildpack-installations"].$get({ param }));
    if (flags.json) return printJson(installed);
    const { name } = await answerOf(api.apps[":app"].$get({ param }));
    const names = installed.map(({ buildpack }) => buildpack.name);
    if (names.length === 0) return print(`${paint.app(name)} has no Buildpacks.`);
    print(paint.header(`${paint.app(name)} Buildpack URL${names.length > 1 ? "s" : ""}`));
    print();
    for (const [index, text] of names.entries())
      print(names.length > 1 ? `${index + 1}. ${text}` : text);
  },
});

const set = command({
  summary: "use a buildpack, instead of the first one or of another",
  usage: "BUILDPACK",
  examples: [
    "stator buildpacks:set heroku/python",
    "stator buildpacks:set https://github.com/OWNER/REPO#v1.2",
    "stator buildpacks:set -i 2 heroku/nodejs",
  ],
  flags: changeFlags,
  async run(context) {
    const { before, name } = await current(context);
    const [buildpack = ""] = context.args;
    const at = Math.min(indexOf(context) ?? 0, before.length);
    refuseTwice(before.toSpliced(at, 1), buildpack);
    const after = await change(context, before.toSpliced(at, 1, buildpack));
    await tell(context, { what: "set", name, after });
  },
});

const add = command({
  summary: "use one more buildpack, after the others or before one of them",
  usage: "BUILDPACK",
  examples: ["stator buildpacks:add -i 1 heroku/nodejs"],
  flags: changeFlags,
  async run(context) {
    const { before, name } = await current(context);
    const [buildpack = ""] = context.args;
    refuseTwice(before, buildpack);
    const at = Math.min(indexOf(context) ?? before.length, before.length);
    const after = await change(context, before.toSpliced(at, 0, buildpack));
    await tell(context, { what: "added", name, after });
  },
});

const remove = command({
  summary: "use a buildpack no more: by its name, or its place in the list",
  usage: "[BUILDPACK]",
  examples: ["stator buildpacks:remove heroku/nodejs", "stator buildpacks:remove -i 2"],
  flags: changeFlags,
  async run(context) {
    const [buildpack] = context.args;
    const index = indexOf(context);
    if (buildpack !== undefined && index !== undefined)
      throw new UsageFailure("Please choose either index or Buildpack URL, but not both.");
    if (buildpack === undefined && index === undefined)
      throw new UsageFailure(
        "Usage: stator buildpacks:remove BUILDPACK, or -i N. The command takes one of them.",
      );
    const { before, name } = await current(context);
    if (before.length === 0)
      throw new CommandFailure(
        `No buildpacks were found. Next release on ${context.paint.app(name)} will detect buildpacks normally.`,
      );
    if (index !== undefined && index >= before.length)
      throw new CommandFailure(
        before.length === 1
          ? "Invalid index. Only valid value is 1."
          : `Invalid index. Please choose a value between 1 and ${before.length}`,
      );
    const at = index ?? before.findIndex((one) => isSame(one, buildpack ?? ""));
    if (at < 0) throw new CommandFailure("Buildpack not found. Nothing was removed.");
    const after = await change(context, before.toSpliced(at, 1));
    await tell(context, { what: "removed", name, after });
  },
});

const clear = command({
  summary: "use none: the next build finds them by itself",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { name } = await current(context);
    await change(context, []);
    if (context.flags.json) return context.printJson([]);
    context.print(
      `Buildpacks cleared. Next release on ${context.paint.app(name)} will detect buildpacks normally.`,
    );
    await warnOfVariables(context);
  },
});

const search = command({
  summary: "list the buildpacks that are built in, perhaps only those with a word",
  usage: "[WORD]",
  flags: jsonFlag,
  async run({ api, args, flags, print, printJson }) {
    const word = (args[0] ?? "").toLowerCase();
    const all = await answerOf(api.buildpacks.$get({ query: {} }));
    const found = all.filter(({ blob_url: name, description }) =>
      `${name} ${description}`.toLowerCase().includes(word),
    );
    if (flags.json) return printJson(found);
    if (found.length === 0) return print("No buildpacks found");
    for (const line of tableLines(found.map((one) => [one.blob_url, one.description]))) print(line);
  },
});

type AppContext = Pick<
  Context<typeof appFlags>,
  "api" | "app" | "args" | "paint" | "print" | "world"
>;

async function current({ api, app }: AppContext): Promise<{ before: string[]; name: string }> {
  const param = { app: await app() };
  const installed = await answerOf(api.apps[":app"]["buildpack-installations"].$get({ param }));
  const { name } = await answerOf(api.apps[":app"].$get({ param }));
  return { before: installed.map(({ buildpack }) => buildpack.name), name };
}

async function change({ api, app }: AppContext, buildpacks: string[]): Promise<string[]> {
  const param = { app: await app() };
  const json = { updates: buildpacks.map((buildpack) => ({ buildpack })) };
  const after = await answerOf(api.apps[":app"]["buildpack-installations"].$put({ param, json }));
  return after.map(({ buildpack }) => buildpack.name);
}

/** Heroku's words (contract §5). */
async function tell(
  context: Change,
  { what, name, after }: { what: "set" | "added" | "removed"; name: string; after: string[] },
): Promise<void> {
  const { flags, paint, print, printJson } = context;
  if (flags.json) return printJson(after);
  const begin = `Buildpack ${what}. Next release on ${paint.app(name)} will`;
  if (after.length === 0) {
    print(`${begin} detect buildpacks normally.`);
    return warnOfVariables(context);
  }
  if (after.length === 1) print(`${begin} use ${after[0]}.`);
  else {
    print(`${begin} use:`);
    for (const [index, text] of after.entries()) print(`  ${index + 1}. ${text}`);
  }
  const these = after.length === 1 ? "this buildpack" : "these buildpacks";
  print(`Run ${paint.command("git push stator main")} to create a new release using ${these}.`);
  await warnOfVariables(context);
}

async function warnOfVariables({ api, app, world }: AppContext): Promise<void> {
  const param = { app: await app() };
  const vars = await answerOf(api.apps[":app"]["config-vars"].$get({ param }));
  if (vars["BUILDPACK_URL"])
    world.err(
      " ▸    Warning: The BUILDPACK_URL config var is still set and will be used for the next release\n",
    );
}

/** From 0. */
function indexOf({ flags }: Change): number | undefined {
  if (flags.index === undefined) return undefined;
  const index = Number(flags.index);
  if (!Number.isInteger(index) || index < 1)
    throw new UsageFailure("Invalid index. Must be greater than 0.");
  return index - 1;
}

function refuseTwice(others: string[], buildpack: string): void {
  if (others.some((one) => isSame(one, buildpack)))
    throw new CommandFailure(`The buildpack ${buildpack} is already set on your app.`);
}

/** `urn:buildpack:heroku/nodejs` is `heroku/nodejs`; the server tells addresses apart. */
function isSame(one: string, other: string): boolean {
  return one === other.replace(/^urn:buildpack:/, "");
}

export default {
  name: "buildpacks",
  summary: "what turns the code of an app into a slug",
  commands: {
    buildpacks: list,
    "buildpacks:add": add,
    "buildpacks:clear": clear,
    "buildpacks:remove": remove,
    "buildpacks:search": search,
    "buildpacks:set": set,
  },
} satisfies Topic;
