import { type Client, reach, type ReleaseAnswer } from "../../api/client.ts";
import { appFlags, command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { keyValueLines, shellQuoted, tableLines, timeAgo } from "../layout.ts";
import type { World } from "../world.ts";

const list = command({
  summary: "list the releases of an app, newest first",
  flags: {
    ...appFlags,
    num: { type: "string", short: "n", value: "NUMBER", summary: "how many (15)" },
    extended: { type: "boolean", short: "x", summary: "with ids, slugs and times" },
    ...jsonFlag,
  },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const releases = await answerOf(
      api.apps[":app"].releases.$get({ param }, newestFirst(countOf(flags.num ?? "15"))),
    );
    if (flags.json) return printJson(releases);
    if (flags.extended) {
      const rows = releases.map((one) => [
        ...[`v${one.version}`, one.description, one.user.email, one.created_at, one.status],
        ...[one.id, one.slug?.id ?? ""],
      ]);
      const head = ["v", "description", "by", "created_at", "status", "id", "slug"];
      for (const line of tableLines([head, ...rows])) print(line);
      return;
    }
    const name = releases[0]?.app.name ?? "";
    const current = releases.find((release) => release.current);
    print(
      paint.header(
        `${paint.app(name)} Releases${current ? ` - Current: v${current.version}` : ""}`,
      ),
    );
    print();
    const rows = releases.map((release) => [
      `v${release.version}`,
      release.description + statusSuffix(release),
      release.user.email,
      timeAgo(release.created_at),
    ]);
    for (const line of tableLines(rows)) print(line);
  },
});

function statusSuffix({ status }: ReleaseAnswer): string {
  switch (status) {
    case "pending":
      return " (release command executing)";
    case "failed":
      return " (release command failed)";
    case "succeeded":
      return "";
  }
}

const info = command({
  summary: "show a release, the current one unless another is named",
  usage: "[RELEASE]",
  examples: ["stator releases:info v10"],
  flags: {
    ...appFlags,
    shell: { type: "boolean", short: "s", summary: "print its config vars as a shell reads them" },
    ...jsonFlag,
  },
  async run(context) {
    const { api, args, flags, paint, print, printJson } = context;
    const app = await context.app();
    const wanted = args[0] ?? `v${(await newestReleases(context, app)).current.version}`;
    const param = { app, release: encodeURIComponent(wanted) };
    const release = await answerOf(api.apps[":app"].releases[":release"].$get({ param }));
    const vars = await answerOf(
      api.apps[":app"].releases[":release"]["config-vars"].$get({ param }),
    );
    if (flags.json) return printJson({ ...release, config_vars: vars });
    if (flags.shell) {
      for (const [key, value] of Object.entries(vars)) print(`${key}=${shellQuoted(value)}`);
      return;
    }
    print(paint.header(`Release v${release.version}`));
    print();
    const lines = keyValueLines([
      ["By", release.user.email],
      ["Change", release.description],
      ["Eligible for Rollback?", release.eligible_for_rollback ? "Yes" : "No"],
      ["Status", release.status],
      ["When", release.created_at],
    ]);
    for (const line of lines) print(line);
    print();
    print(paint.header(`v${release.version} Config vars`));
    print();
    const sorted = Object.entries(vars).toSorted(([a], [b]) => (a < b ? -1 : 1));
    for (const line of keyValueLines(sorted, paint.key)) print(line);
  },
});

const rollback = command({
  summary: "release the code and the config of an earlier release again",
  usage: "[RELEASE]",
  aliases: ["releases:rollback"],
  examples: ["stator rollback", "stator rollback v40"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, printJson, world } = context;
    const app = await context.app();
    const { all, current: serving } = await newestReleases(context, app);
    // A release that is still being rolled out is the one to go back from.
    const current = all.find(({ status }) => status !== "failed") ?? serving;
    const target =
      args[0] === undefined
        ? all.find(
            ({ version, eligible_for_rollback: eligible }) => eligible && version < current.version,
          )
        : await answerOf(
            api.apps[":app"].releases[":release"].$get({
              param: { app, release: encodeURIComponent(args[0]) },
            }),
          );
    const name = current.app.name;
    if (!target)
      throw new CommandFailure(`No eligible release found for ${paint.app(name)} to roll back to.`);
    const release = await action(
      `Rolling back ${paint.app(name)} to v${target.version}`,
      () =>
        answerOf(api.apps[":app"].releases.$post({ param: { app }, json: { release: target.id } })),
      ({ version }) => `v${version}`,
    );
    world.err(" ▸    Rollback affects code and config vars; it doesn't add or remove addons.\n");
    world.err(` ▸    To undo, run: stator rollback v${current.version}\n`);
    if (flags.json) printJson(release);
  },
});

const output = command({
  summary: "print what the release command of a release has said",
  usage: "[RELEASE]",
  examples: ["stator releases:output v40"],
  flags: appFlags,
  async run(context) {
    const { api, args, world } = context;
    const app = await context.app();
    const wanted = args[0] ?? `v${(await newestReleases(context, app)).all[0]?.version ?? 1}`;
    const param = { app, release: encodeURIComponent(wanted) };
    const release = await answerOf(api.apps[":app"].releases[":release"].$get({ param }));
    if (release.output_stream_url === null)
      throw new CommandFailure(
        `Release v${release.version} has no release command, so there is no output.`,
      );
    await printOutput(world, release.output_stream_url);
  },
});

/** Prints what a release command says until it has ended. */
async function printOutput(world: World, address: string): Promise<void> {
  const { url, headers } = reach(address);
  const response = await fetch(url, { headers, timeout: false } as RequestInit);
  if (!response.ok || !response.body)
    throw new CommandFailure(`The output cannot be read: the server answered ${response.status}.`);
  const decoder = new TextDecoder();
  for await (const bytes of response.body) world.out(decoder.decode(bytes, { stream: true }));
}

const retry = command({
  summary: "run the release command of the newest release again, in a release of its own",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, action, print, printJson, world } = context;
    const app = await context.app();
    const [last] = (await newestReleases(context, app)).all;
    const formation = await answerOf(api.apps[":app"].formation.$get({ param: { app } }));
    if (!last?.slug || !formation.some(({ type }) => type === "release"))
      throw new CommandFailure(
        "App must have a release-phase command to use this command: a line release: COMMAND in its Procfile.",
      );
    const json = {
      slug: last.slug.id,
      description: `Retry of v${last.version}: ${last.description}`,
    };
    const release = await action(
      `Retrying v${last.version} on ${paint.app(last.app.name)}`,
      () => answerOf(api.apps[":app"].releases.$post({ param: { app }, json })),
      ({ version }) => `v${version}`,
    );
    if (flags.json) return printJson(release);
    if (release.output_stream_url === null) return;
    print("Running release command...");
    await printOutput(world, release.output_stream_url);
    const param = { app, release: release.id };
    const { status } = await answerOf(api.apps[":app"].releases[":release"].$get({ param }));
    if (status === "failed")
      throw new CommandFailure(
        `Release v${release.version} failed. The one before goes on serving.`,
      );
  },
});

async function newestReleases(
  { api }: { api: Client },
  app: string,
): Promise<{ all: ReleaseAnswer[]; current: ReleaseAnswer }> {
  const all = await answerOf(
    api.apps[":app"].releases.$get({ param: { app } }, newestFirst(mostReleases)),
  );
  const current = all.find((release) => release.current) ?? all[0];
  if (!current)
    throw new CommandFailure("This app has no release yet. Make one: git push stator main");
  return { all, current };
}

const mostReleases = 1000;

function newestFirst(max: number) {
  return { headers: { Range: `version ..; max=${max}, order=desc` } };
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > mostReleases)
    throw new UsageFailure(`--num is ${text}, but must be a number from 1 to ${mostReleases}.`);
  return count;
}

export default {
  name: "releases",
  summary: "what ran, what runs, and the way back",
  commands: {
    releases: list,
    "releases:info": info,
    "releases:output": output,
    "releases:retry": retry,
    rollback,
  },
} satisfies Topic;
