import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import type { BuildAnswer, Client } from "../../api/client.ts";
import { printBuildOutput } from "../build-output.ts";
import { appFlags, command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { keyValueLines, tableLines, timeAgo } from "../layout.ts";
import { uploadSource } from "../upload-source.ts";

const list = command({
  summary: "list the builds of an app, newest first",
  flags: {
    ...appFlags,
    num: { type: "string", short: "n", value: "NUMBER", summary: "how many (10)" },
    ...jsonFlag,
  },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const count = Number(flags.num ?? "10");
    if (!Number.isInteger(count) || count < 1 || count > 1000)
      throw new UsageFailure(`--num is ${flags.num}, but must be a number from 1 to 1000.`);
    const builds = await newest(api, param.app, count);
    if (flags.json) return printJson(builds);
    const { name } = await answerOf(api.apps[":app"].$get({ param }));
    if (builds.length === 0) return print(`${paint.app(name)} has no builds yet.`);
    print(paint.header(`${paint.app(name)} Builds`));
    print();
    const rows = builds.map((build) => [
      build.id,
      build.status,
      (build.source_blob.version ?? "").slice(0, 8),
      build.user.email,
      timeAgo(build.created_at),
    ]);
    for (const line of tableLines(rows)) print(line);
  },
});

const info = command({
  summary: "show a build, the newest one unless another is named",
  usage: "[BUILD]",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const build = await chosen(api, await context.app(), context.args[0]);
    if (flags.json) return printJson(build);
    print(paint.header(`Build ${build.id}`));
    print();
    const lines = keyValueLines([
      ["By", build.user.email],
      ["When", timeAgo(build.created_at)],
      ["Status", build.status],
      ["Stack", build.stack],
      ["Version", build.source_blob.version],
      ["Description", build.source_blob.version_description],
      ["Source", build.source_blob.url],
      ["Checksum", build.source_blob.checksum],
      [
        "Buildpacks",
        build.buildpacks.map(({ name, version }) => (version ? `${name} at ${version}` : name)),
      ],
      ["Slug", build.slug?.id ?? null],
      ["Release", build.release?.id ?? null],
    ]);
    for (const line of lines) print(line);
  },
});

const output = command({
  summary: "print what a build has said, the newest one unless another is named",
  usage: "[BUILD]",
  flags: {
    ...appFlags,
    tail: { type: "boolean", short: "t", summary: "and what it says until its end" },
  },
  async run(context) {
    const { api, flags, world } = context;
    const build = await chosen(api, await context.app(), context.args[0]);
    await printBuildOutput(world, build, { follow: flags.tail ?? false });
  },
});

const cancel = command({
  summary: "end a build, the one under way unless another is named",
  usage: "[BUILD]",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, action, printJson } = context;
    const app = await context.app();
    const build = await chosen(api, app, context.args[0]);
    const param = { app, build: build.id };
    const stopped = await action(`Stopping build ${build.id} of ${paint.app(app)}`, () =>
      answerOf(api.apps[":app"].builds[":build"].$delete({ param })),
    );
    if (flags.json) printJson(stopped);
  },
});

const create = command({
  summary: "build from an archive, and release what comes of it",
  flags: {
    ...appFlags,
    "source-tar": { type: "string", value: "FILE", summary: "a tar, as git archive makes it" },
    "source-url": { type: "string", value: "URL", summary: "where such a tar is" },
    version: { type: "string", value: "TEXT", summary: "what to call this version of the code" },
    ...jsonFlag,
  },
  examples: [
    "git archive --output app.tar.gz HEAD && stator builds:create --source-tar app.tar.gz",
    "stator builds:create --source-url https://example.com/app.tar.gz --version v1.2",
  ],
  async run(context) {
    const { api, flags, world } = context;
    const file = flags["source-tar"];
    const url = flags["source-url"];
    if ((file === undefined) === (url === undefined))
      throw new UsageFailure("Give one of --source-tar FILE and --source-url URL.");
    const app = await context.app();
    const source =
      file === undefined
        ? { url: url ?? "" }
        : await context.action("Uploading source", () =>
            uploadSource(api, resolve(world.cwd, file)),
          );
    const build = await answerOf(
      api.apps[":app"].builds.$post({
        param: { app },
        json: { source_blob: { ...source, version: flags.version ?? null } },
      }),
    );
    const quiet = flags.json ? { ...world, out: world.err } : world;
    await printBuildOutput(quiet, build, { follow: true });
    const ended = await chosen(api, app, build.id);
    if (flags.json) context.printJson(ended);
    return ended.status === "succeeded" ? 0 : 1;
  },
});

const download = command({
  summary: "save what builds of an app keep for the next one",
  usage: "[FILE]",
  flags: { ...appFlags, ...jsonFlag },
  examples: ["stator builds:cache:download cache.tar.gz && tar -tzf cache.tar.gz"],
  async run(context) {
    const { api, args, flags, paint, action, print, printJson, world } = context;
    const app = await context.app();
    const path = resolve(world.cwd, args[0] ?? "build-cache.tar.gz");
    const part = `${path}.${process.pid}.part`;
    try {
      await action(`Downloading build cache of ${paint.app(app)}`, async () => {
        const request = api.apps[":app"]["build-cache"].$get({ param: { app } });
        const answer = await request.catch(() => undefined);
        if (!answer?.ok) {
          await answerOf(request as never);
          return;
        }
        const file = Bun.file(part).writer();
        for await (const bytes of answer.body ?? []) await file.write(bytes);
        await file.end();
        await rename(part, path);
      });
    } finally {
      await rm(part, { force: true });
    }
    if (flags.json) printJson({ file: path });
    else print(`Saved as ${path}`);
  },
});

const purge = command({
  summary: "forget what builds of an app keep for the next one",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, action, printJson } = context;
    const app = await context.app();
    const answer = await action(`Clearing build cache of ${paint.app(app)}`, () =>
      answerOf(api.apps[":app"]["build-cache"].$delete({ param: { app } })),
    );
    if (flags.json) printJson(answer);
  },
});

function newest(api: Client, app: string, max: number): Promise<BuildAnswer[]> {
  const headers = { Range: `created_at ..; max=${max}, order=desc` };
  return answerOf(api.apps[":app"].builds.$get({ param: { app } }, { headers }));
}

async function chosen(api: Client, app: string, id: string | undefined): Promise<BuildAnswer> {
  if (id !== undefined) {
    const param = { app, build: encodeURIComponent(id) };
    return answerOf(api.apps[":app"].builds[":build"].$get({ param }));
  }
  const [build] = await newest(api, app, 1);
  if (!build) throw new CommandFailure("This app has no build yet. Make one: git push stator main");
  return build;
}

export default {
  name: "builds",
  summary: "how slugs came about: pushes, archives, and what they said",
  commands: {
    builds: list,
    "builds:cache:download": download,
    "builds:cache:purge": purge,
    "builds:cancel": cancel,
    "builds:create": create,
    "builds:info": info,
    "builds:output": output,
  },
} satisfies Topic;
