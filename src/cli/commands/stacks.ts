import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Client, StackAdditionAnswer, StackAnswer, WantedImage } from "../../api/client.ts";
import { execOk } from "../../lib/exec.ts";
import { appFlags, command, type Context, type Flags, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { bytesText, tableLines } from "../layout.ts";
import { readSecret } from "../read-secret.ts";
import { uploadSource } from "../upload-source.ts";

const list = command({
  summary: "list what apps can run on; the app's own has a star",
  aliases: ["stack", "apps:stacks"],
  flags: {
    ...appFlags,
    images: {
      type: "boolean",
      short: "i",
      summary: "without an app, with the images that they are",
    },
    ...jsonFlag,
  },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const all = await answerOf(api.stacks.$get());
    if (flags.images && !flags.json)
      return tableLines(all.map(imageRow)).forEach((line) => print(line));
    if (flags.images) return printJson(all);
    const param = { app: await context.app() };
    const app = await answerOf(api.apps[":app"].$get({ param }));
    if (flags.json) return printJson(all);
    print(paint.header(`${paint.app(app.name)} Available Stacks`));
    print();
    // A stack of Heroku's that is not in the list is another name of the machine's own.
    const names = all.map(({ name }) => name);
    const meant = ({ name }: { name: string }) => (names.includes(name) ? name : "host");
    const [now, next] = [meant(app.stack), meant(app.build_stack)];
    for (const name of names) {
      const alias =
        name === next && name !== app.build_stack.name ? ` (as ${app.build_stack.name})` : "";
      if (name === now) print(`* ${name}${alias}`);
      else print(`  ${name}${alias}${name === next ? " (active on next deploy)" : ""}`);
    }
  },
});

const set = command({
  summary: "change what the next build of an app is for",
  usage: "STACK",
  examples: ["stator stack:set heroku-24 -a my-shop"],
  aliases: ["stacks:set", "apps:stacks:set"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, print, printJson } = context;
    const [stack] = args;
    if (stack === undefined || args.length > 1)
      throw new UsageFailure("Name one stack. See stator stacks.");
    const param = { app: await context.app() };
    const app = await action(`Setting stack to ${stack}`, () =>
      answerOf(api.apps[":app"].$patch({ param, json: { build_stack: stack } })),
    );
    if (flags.json) return printJson(app);
    if (app.stack.name === app.build_stack.name) return;
    print(`You will need to redeploy ${paint.app(app.name)} for the change to take effect.`);
    print(`Run git push stator main to trigger a new build on ${paint.app(app.name)}.`);
  },
});

const add = command({
  summary: "make an image something that apps can run on; for the server's owner",
  usage: "NAME",
  flags: {
    from: {
      type: "string",
      value: "IMAGE",
      summary: "docker://REF, oci:FOLDER[:TAG], or the tar of a root (plain, gzip, zstd)",
    },
    "build-from": {
      type: "string",
      value: "IMAGE",
      summary: "what builds run on, when that is another one",
    },
    digest: { type: "string", value: "DIGEST", summary: "sha256:…, the only image that will do" },
    user: {
      type: "string",
      short: "u",
      value: "USER",
      summary: "for the registry; its password is asked for, or read from a pipe",
    },
    insecure: { type: "boolean", summary: "a registry by HTTP, or that cannot prove who it is" },
    ...jsonFlag,
  },
  examples: [
    "stator stacks:add heroku-24 --from docker://heroku/heroku:24 --build-from docker://heroku/heroku:24-build",
    "stator stacks:add trixie --from ./trixie.tar.zst",
  ],
  async run(context) {
    const { api, args, flags, action, printJson, world } = context;
    const [name] = args;
    const { from } = flags;
    if (name === undefined || from === undefined)
      throw new UsageFailure("Give the stack a name, and --from IMAGE.");
    const password = flags.user
      ? await readSecret(world, `Password of ${flags.user}: `)
      : undefined;
    const access = { username: flags.user ?? null, password, insecure: flags.insecure ?? false };
    const { digest = null } = flags;
    const image = await wantedImage(context, from, { ...access, digest });
    const build =
      flags["build-from"] === undefined
        ? null
        : await wantedImage(context, flags["build-from"], { ...access, digest: null });
    const stack = await action(`Adding stack ${name}`, async (progress) => {
      await answerOf(api.stacks.$post({ json: { name, image, build_image: build } }));
      await followAddition(api, name, (line) => progress.say(`       ${line}`));
      return answerOf(api.stacks[":stack"].$get({ param: { stack: encodeURIComponent(name) } }));
    });
    if (flags.json) printJson(stack);
  },
});

const remove = command({
  summary: "give up a stack that no app needs; for the server's owner",
  usage: "NAME",
  flags: jsonFlag,
  async run({ api, args: [name], flags, action, printJson }) {
    if (name === undefined) throw new UsageFailure("Name the stack. See stator stacks --images.");
    const param = { stack: encodeURIComponent(name) };
    const gone = await action(`Removing stack ${name}`, () =>
      answerOf(api.stacks[":stack"].$delete({ param })),
    );
    if (flags.json) printJson(gone);
  },
});

interface Access {
  digest: string | null;
  username: string | null;
  password: string | undefined;
  insecure: boolean;
}

function imageRow({ name, image }: StackAnswer): string[] {
  if (name === "container") return [name, "images of an app's own"];
  if (!image) return [name, "what this machine has"];
  return [name, image.title, bytesText(image.size), image.digest];
}

/** What `--from` says, as the API takes it; files of this machine are brought to the server first. */
async function wantedImage(
  { api, action, world }: Pick<Context<Flags>, "api" | "action" | "world">,
  from: string,
  { digest, ...access }: Access,
): Promise<WantedImage> {
  if (from.startsWith("docker://"))
    return { kind: "docker", reference: from.slice("docker://".length), digest, ...access };
  const given = from.startsWith("oci:")
    ? layoutOf(world.cwd, from.slice("oci:".length))
    : undefined;
  const bring = (file: string) => action(`Uploading ${from}`, () => uploadSource(api, file));
  if (!given) {
    const { url } = await bring(resolve(world.cwd, from));
    return { kind: "tar", url, name: from, digest };
  }
  const work = mkdtempSync(join(tmpdir(), "stator-image-"));
  try {
    const file = join(work, "image.tar");
    await execOk(["tar", "--create", `--file=${file}`, `--directory=${given.folder}`, "."]);
    const { url } = await bring(file);
    return { kind: "oci", url, name: from, digest, tag: given.tag ?? null };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** `FOLDER` or `FOLDER:TAG`; a colon may be a part of the folder's name as well. */
function layoutOf(cwd: string, text: string): { folder: string; tag?: string } {
  const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory();
  const whole = resolve(cwd, text);
  if (isFolder(whole)) return { folder: whole };
  const [, path = "", tag = ""] = /^(.*):([^:/]+)$/.exec(text) ?? [];
  const folder = resolve(cwd, path);
  if (tag && isFolder(folder)) return { folder, tag };
  throw new CommandFailure(`There is no folder ${whole}.`);
}

const lookEveryMs = 300;

/** Tells what the server does, until it has done it. */
async function followAddition(
  api: Client,
  name: string,
  say: (line: string) => void,
): Promise<void> {
  const param = { stack: encodeURIComponent(name) };
  for (let told = 0; ;) {
    const addition: StackAdditionAnswer = await answerOf(
      api.stacks[":stack"].addition.$get({ param }),
    );
    for (const line of addition.lines.slice(told)) say(line);
    told = addition.lines.length;
    if (addition.state === "added") return;
    if (addition.state === "failed") throw new CommandFailure(addition.message ?? "It failed.");
    await Bun.sleep(lookEveryMs);
  }
}

export default {
  name: "stacks",
  summary: "what apps are built for and run on: this machine's software, or images",
  commands: { stacks: list, "stack:set": set, "stacks:add": add, "stacks:remove": remove },
} satisfies Topic;
