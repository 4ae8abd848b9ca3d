import { z } from "zod";

/** What `heroku.yml` says of an app's images. All of it is the app's: nothing here is trusted. */
export interface ImageManifest {
  /** In the order of the file; the first one's image is built first. */
  builds: ImageOrder[];
  /** `ARG`s of all of them. */
  buildArguments: Record<string, string>;
  /** The types that have a command instead of their image's own, and whose image they run on. */
  commands: Record<string, { command: string | null; image: string }>;
}

export interface ImageOrder {
  type: string;
  /** Below the app's root, without `..`. */
  dockerfile: string;
  /** The stage that counts; the last one when it is `null`. */
  target: string | null;
}

/** What is wrong with the file, in words for its author. */
export class BadManifest extends Error {
  override readonly name = "BadManifest";
}

const typeName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,128}$/, "must be the name of a process type: letters, digits, - and _");
const word = z.string().max(32_768).refine(isPlain, "must be text without NUL");
const dockerfile = word.min(1).max(1000).refine(isBelow, {
  error: "must be the path of a Dockerfile below the app's root, without ..",
});
const stage = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, "must be the name of a stage");
const commandText = word.trim().min(1);
const commands = z
  .union(
    [commandText, z.array(commandText).min(1).max(100)],
    "must be a command, or a list of them",
  )
  .transform((given) => (typeof given === "string" ? given : given.join(" && ")));
const process = z.union(
  [
    commandText.transform((command) => ({ command, image: undefined })),
    z.strictObject({ command: commands.optional(), image: typeName.optional() }),
  ],
  "must be a command, or an object with command and image",
);
const scalar = z
  .union([word, z.number(), z.boolean()], "must be text, a number or a boolean")
  .transform(String);
const variables = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be the name of a variable"),
  scalar,
);
const orNothing = <Schema extends z.ZodType>(schema: Schema) => schema.nullish();

/** What is said of an object that is not there, and of what does not belong into it. */
function words(missing: string) {
  return {
    error: ({ code }: { code?: string }) =>
      code === "unrecognized_keys" ? "has what is not known there" : missing,
  };
}

const manifest = z.strictObject(
  {
    /** Of `create --manifest`: nothing of a build. */
    setup: orNothing(
      z.strictObject({
        addons: orNothing(z.array(z.strictObject({ plan: word, as: word.optional() })).max(100)),
        config: orNothing(variables),
      }),
    ),
    build: z.strictObject(
      {
        docker: z.record(
          typeName,
          z.union(
            [
              dockerfile.transform((path) => ({ dockerfile: path, target: undefined })),
              z.strictObject({ dockerfile, target: stage.optional() }),
            ],
            "must be the path of a Dockerfile below the app's root, without ..",
          ),
          "must say which Dockerfile is built for which process type",
        ),
        config: orNothing(variables),
      },
      words("must be there, with docker in it"),
    ),
    release: orNothing(
      z.strictObject({ image: typeName.optional(), command: commands.optional() }),
    ),
    run: orNothing(z.record(typeName, process)),
  },
  words("must be an object with build in it"),
);

/** Reads `heroku.yml`; throws BadManifest. Pure. */
export function parseHerokuYml(text: string): ImageManifest {
  const parsed = manifest.safeParse(readYaml(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join(".") || "it";
    const keys = issue?.code === "unrecognized_keys" ? ` (${issue.keys.join(", ")})` : "";
    throw new BadManifest(`${where}: ${issue?.message}${keys}`.slice(0, 300));
  }
  const { build, release, run } = parsed.data;
  const builds = Object.entries(build.docker).map(([type, { dockerfile, target }]) => ({
    ...{ type, dockerfile },
    target: target ?? null,
  }));
  if (builds.length === 0) throw new BadManifest("build.docker: must name a Dockerfile");
  if (builds.length > 20) throw new BadManifest("build.docker: must not be more than 20 images");
  const types = builds.map(({ type }) => type);
  const imageOf = (type: string, named: string | undefined, key: string) => {
    const image = named ?? (types.includes(type) ? type : usualImage(types));
    if (!types.includes(image))
      throw new BadManifest(`${key}.image: ${image} is none of build.docker (${types.join(", ")})`);
    return image;
  };
  const found: ImageManifest["commands"] = {};
  for (const [type, { command, image }] of Object.entries(run ?? {}))
    found[type] = { command: command ?? null, image: imageOf(type, image, `run.${type}`) };
  if (release)
    found.release = {
      command: release.command ?? null,
      image: imageOf("release", release.image, "release"),
    };
  return { builds, buildArguments: build.config ?? {}, commands: found };
}

/** What an app is that has a Dockerfile and no `heroku.yml`. */
export function onlyDockerfile(): ImageManifest {
  const web = { type: "web", dockerfile: "Dockerfile", target: null };
  return { builds: [web], buildArguments: {}, commands: {} };
}

/** Whose image is taken by what names none: the web's, else the first. Pure. */
function usualImage(types: string[]): string {
  return types.includes("web") ? "web" : (types[0] as string);
}

function readYaml(text: string): unknown {
  if (text.length > 65_536) throw new BadManifest("it: must be at most 64 KB");
  try {
    return Bun.YAML.parse(text);
  } catch (error) {
    throw new BadManifest(`it is no YAML: ${(error as Error).message}`.slice(0, 300));
  }
}

function isPlain(text: string): boolean {
  return !text.includes("\0");
}

function isBelow(path: string): boolean {
  return !path.startsWith("/") && !path.split("/").includes("..");
}
