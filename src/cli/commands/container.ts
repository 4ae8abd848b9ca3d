import { resolve } from "node:path";
import type { Client } from "../../api/client.ts";
import { printBuildOutput } from "../build-output.ts";
import { appFlags, command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { tableLines, timeAgo } from "../layout.ts";
import { uploadSource } from "../upload-source.ts";

const list = command({
  summary: "list the images that were pushed last, to be released",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, flags, print, printJson } = context;
    const images = await pushedImages(api, await context.app());
    if (flags.json) return printJson(images);
    if (images.length === 0)
      return print("No image was pushed yet: stator container:push TYPE --archive FILE");
    const rows = images.map((image) => [
      image.process_type,
      image.docker_image.slice(0, 19),
      `${(image.size / 1024 / 1024).toFixed(1)}M`,
      timeAgo(image.created_at),
    ]);
    for (const line of tableLines(rows)) print(line);
  },
});

const push = command({
  summary: "push an image for a process type; container:release puts it into service",
  usage: "TYPE",
  flags: {
    ...appFlags,
    archive: {
      type: "string",
      value: "FILE",
      summary: "as `docker save`, `buildah push … oci-archive:FILE` or `skopeo copy` write it",
    },
    ...jsonFlag,
  },
  examples: [
    "docker build -t site . && docker save site -o site.tar && stator container:push web --archive site.tar",
    "buildah push localhost/site oci-archive:site.tar && stator container:push web --archive site.tar",
  ],
  async run(context) {
    const { api, args, flags, world } = context;
    const [type = ""] = args;
    if (flags.archive === undefined)
      throw new UsageFailure(
        "Give the image with --archive FILE. To let the platform build a Dockerfile, push it by git.",
      );
    const app = await context.app();
    const path = resolve(world.cwd, flags.archive);
    const source = await context.action("Uploading image", () => uploadSource(api, path));
    const json = { source_blob: source, docker_image: { process_type: type } };
    const build = await answerOf(api.apps[":app"].builds.$post({ param: { app }, json }));
    await printBuildOutput(flags.json ? { ...world, out: world.err } : world, build, {
      follow: true,
    });
    const param = { app, build: build.id };
    const ended = await answerOf(api.apps[":app"].builds[":build"].$get({ param }));
    if (flags.json) context.printJson(ended);
    return ended.status === "succeeded" ? 0 : 1;
  },
});

const release = command({
  summary: "release the images that were pushed last for some process types",
  usage: "TYPE…",
  examples: ["stator container:release web worker"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, printJson } = context;
    const app = await context.app();
    const pushed = await pushedImages(api, app);
    const updates = args.map((type) => {
      const image = pushed.find((one) => one.process_type === type);
      if (!image)
        throw new CommandFailure(
          `No image was pushed for ${type}. To push one: stator container:push ${type} --archive FILE`,
        );
      return { type, docker_image: image.docker_image };
    });
    const rows = await action(`Releasing images ${args.join(",")} to ${paint.app(app)}`, () =>
      answerOf(api.apps[":app"].formation.$patch({ param: { app }, json: { updates } })),
    );
    if (flags.json) printJson(rows);
  },
});

const remove = command({
  summary: "take process types out of an app of images",
  usage: "TYPE…",
  examples: ["stator container:rm worker"],
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { api, args, flags, paint, action, printJson } = context;
    const app = await context.app();
    const updates = args.map((type) => ({ type, docker_image: null }));
    const rows = await action(`Removing containers ${args.join(",")} from ${paint.app(app)}`, () =>
      answerOf(api.apps[":app"].formation.$patch({ param: { app }, json: { updates } })),
    );
    if (flags.json) printJson(rows);
  },
});

function pushedImages(api: Client, app: string) {
  return answerOf(api.apps[":app"]["container-images"].$get({ param: { app } }));
}

export default {
  name: "container",
  summary: "container images that were built elsewhere",
  commands: {
    container: list,
    "container:push": push,
    "container:release": release,
    "container:rm": remove,
  },
} satisfies Topic;
