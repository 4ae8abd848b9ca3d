import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { asUser } from "../lib/as-user.ts";
import { exec, execOk } from "../lib/exec.ts";
import { readUntrustedFile } from "../lib/untrusted-file.ts";
import { type App, containerStack } from "../model/app.ts";
import type { UsedBuildpack } from "../model/build.ts";
import type { BuildpackName } from "../model/buildpack-source.ts";
import type { ConfigVars } from "../model/config-vars.ts";
import { parseProcfile } from "../model/procfile.ts";
import type { ProcessTypes, SlugImage, TypeImage } from "../model/slug.ts";
import { maxSlugBytes, type PackedSlug, type SlugStore } from "../slug/slug-store.ts";
import { BuildFailed } from "./build-failed.ts";
import { buildSteps } from "./build-steps.ts";
import { buildImages, type ImageBuildContext, takeImage } from "./image-build.ts";
import { maskedOutput, secretsOf } from "./masked-output.ts";
import type { BuildpackStore } from "./buildpack-store.ts";
import {
  type BuildOutput,
  type BuildPrinter,
  buildPrinter,
  keptText,
  printedSize,
} from "./output.ts";
import { type BuildStack, stackTitle } from "./stack.ts";
import { BuildTimeout, openWorkshop, type Workshop, type WorkshopOptions } from "./workshop.ts";

export interface BuilderOptions extends WorkshopOptions, ImageBuildContext {
  /** What the machine's own software is called in `STACK`. */
  announced: string;
  slugs: SlugStore;
  buildpackStore: BuildpackStore;
  /** Whether only buildpacks are used that say exactly which code they mean. */
  requirePins: boolean;
}

export interface BuildSource {
  /** The commit, or what else names this version. */
  version: string;
  /** Fills the build's folder, with the app's own ids. */
  checkOut(workshop: Workshop, print: BuildPrinter): Promise<void>;
}

export interface BuildRequest {
  source: BuildSource;
  config: ConfigVars;
  output: BuildOutput;
  signal: AbortSignal;
  /** Those that are set, in their order; none: the app's files say, or the buildpacks are asked. */
  buildpacks: BuildpackName[];
  /** What the last build used, to tell of changes. */
  usedBefore: UsedBuildpack[];
  /** What the build is for, once it is known what the app's own `app.json` asks for. */
  stackFor(wanted: string | undefined, print: BuildPrinter): Promise<BuildStack>;
  /** Hears what is used, before it runs. */
  note: (used: UsedBuildpack[]) => void;
  /** Images of earlier builds whose archives are there. */
  knownImages: SlugImage[];
}

export interface BuiltSlug extends PackedSlug {
  /** Of an app of the stack `container`. */
  images: Record<string, TypeImage> | null;
  processTypes: ProcessTypes;
  /** The built-in buildpack that was found by asking; it sticks (contract clause 68). */
  detected: string | null;
  buildpackDescription: string;
}

export type Builder = ReturnType<typeof createBuilder>;

export function createBuilder(options: BuilderOptions) {
  const { buildsDir, cachesDir } = options;
  // What lies here was left by a server that died; its builds died with it.
  for (const name of existsSync(buildsDir) ? readdirSync(buildsDir) : [])
    void exec(["rm", "-rf", "--", join(buildsDir, name)]);
  for (const dir of [buildsDir, cachesDir]) mkdirSync(dir, { recursive: true, mode: 0o711 });

  /** Detect, compile, release, pack (contract §4.2): a slug, or BuildFailed. */
  async function build(app: App, request: BuildRequest): Promise<BuiltSlug> {
    const print = buildPrinter(request.output);
    const { version } = request.source;
    const { announced } = options;
    const workshop = openWorkshop(options, app, { version, announced, signal: request.signal });
    try {
      await request.source.checkOut(workshop, print);
      const stack = await request.stackFor(stackOfAppJson(workshop), print);
      // A Dockerfile sees no config vars, only `build.config`.
      if (stack.name === containerStack) return await buildContainers(workshop, app, request);
      workshop.showConfig(request.config);
      workshop.useStack(stack);
      await applySlugIgnore(workshop);
      await print.line("Building source:");
      await print.line("");
      await print.step(`Building on the ${stackTitle(shownName(stack))} stack`);
      const steps = buildSteps(options, workshop, { ...request, print });
      const last = await steps.runAll();
      const processTypes = await discoverProcessTypes(workshop, last.folderName, print);
      const packed = await packSlug(options.slugs, workshop, print);
      const { detected, description } = last;
      const found = { processTypes, detected, buildpackDescription: description };
      return { ...packed, ...found, images: null };
    } catch (error) {
      throw await explained(error, print);
    } finally {
      await workshop.close();
    }
  }

  async function explained(error: unknown, print: BuildPrinter): Promise<unknown> {
    if (!(error instanceof BuildTimeout)) return error;
    await print.line("");
    await print.step(error.message);
    await print.problem("Push failed");
    return new BuildFailed("timed out");
  }

  /** The way of an app whose stack is `container`: images in the place of a slug. */
  async function buildContainers(
    workshop: Workshop,
    app: App,
    request: BuildRequest,
  ): Promise<BuiltSlug> {
    const print = buildPrinter(request.output);
    await print.line("Building source:");
    await print.line("");
    const masked = maskedOutput(request.output, secretsOf(request.config));
    const { images, processTypes } = await buildImages(options, workshop, {
      ...{ appId: app.id, print, said: masked, known: request.knownImages },
    });
    await masked.end();
    const first = images.web ?? (Object.values(images)[0] as TypeImage);
    const { sha256, sizeBytes } = first;
    const what = { detected: null, buildpackDescription: "Container" };
    return { sha256, sizeBytes, images, processTypes, ...what };
  }

  /** Takes an image as somebody has made it: what the source checks out is its archive. */
  async function take(
    app: App,
    request: Pick<BuildRequest, "source" | "output" | "signal" | "knownImages">,
  ): Promise<SlugImage> {
    const print = buildPrinter(request.output);
    const { signal, source, knownImages: known, output: said } = request;
    const { announced } = options;
    const workshop = openWorkshop(options, app, { version: source.version, signal, announced });
    try {
      await source.checkOut(workshop, print);
      return await takeImage(options, workshop, { appId: app.id, print, said, known });
    } catch (error) {
      throw await explained(error, print);
    } finally {
      await workshop.close();
    }
  }

  return {
    build,
    take,
    /** Deletes the build cache of an app. A build under way goes on with what it has of it. */
    async forget(app: App): Promise<void> {
      await options.imageDisks?.forget(app.id);
      const cache = join(cachesDir, app.id);
      rmSync(join(cachesDir, `.root-${app.id}`), { force: true });
      const aside = join(cachesDir, `.${crypto.randomUUID()}`);
      if (!existsSync(cache)) return;
      renameSync(cache, aside);
      await exec(["rm", "-rf", "--", aside]);
    },
  };
}

const appJson = z.object({ stack: z.string().max(100) });

/** The stack that the app itself asks for (contract §6.5). */
function stackOfAppJson({ buildFolder }: Workshop): string | undefined {
  const text = readUntrustedFile(join(buildFolder, "app.json"));
  try {
    return text === undefined ? undefined : appJson.parse(JSON.parse(text)).stack;
  } catch {
    return undefined;
  }
}

/** The machine's own software is called what it is like. */
function shownName({ name, announced, digest }: BuildStack): string {
  return digest === null ? announced : name;
}

/** Removes what `.slugignore` names, by git's own rules but without `!` (contract §4.4). */
async function applySlugIgnore({ folder, buildFolder, userId }: Workshop): Promise<void> {
  const text = readUntrustedFile(join(buildFolder, ".slugignore"));
  if (text === undefined) return;
  const patterns = text.split(/\r?\n/).filter((line) => !line.startsWith("!"));
  const tmp = join(folder, "tmp");
  const patternFile = join(tmp, `slugignore_${crypto.randomUUID().slice(0, 8)}`);
  writeFileSync(patternFile, `${patterns.join("\n")}\n`, { mode: 0o644 });
  const repository = `${patternFile}.git`;
  await execOk(["git", "init", "--quiet", "--bare", repository]);
  // The folder is the app's user's; git is told that this is all right, and git only reads.
  const ignored = await execOk(
    [
      ...(["git", "-c", "safe.directory=*", "-c", "core.bare=false"] as const),
      ...["--git-dir", repository, "--work-tree", "."],
      ...[
        "ls-files",
        "-z",
        "--others",
        "--ignored",
        "--directory",
        `--exclude-from=${patternFile}`,
      ],
    ],
    { cwd: buildFolder },
  );
  await exec(["rm", "-rf", "--", repository, patternFile]);
  if (ignored)
    await execInApp(userId, ["xargs", "-0", "rm", "-rf", "--"], {
      cwd: buildFolder,
      stdin: ignored,
    });
}

async function execInApp(
  userId: number,
  argv: [string, ...string[]],
  options: { cwd: string; stdin: string },
): Promise<void> {
  await execOk(asUser(userId, argv), options);
}

const releaseOutput = z.object({
  default_process_types: z
    .record(z.string().regex(/^[A-Za-z0-9_-]{1,128}$/), z.string().min(1).max(10_000))
    .nullish(),
});

/** The Procfile's types over the buildpack's defaults (contract §1.1). */
async function discoverProcessTypes(
  workshop: Workshop,
  folderName: string,
  print: BuildPrinter,
): Promise<ProcessTypes> {
  const said = keptText(65_536);
  if (existsSync(join(workshop.buildpackFolder(folderName), "bin/release")))
    await workshop.run(["./bin/release", workshop.inside.build], {
      ...{ output: said, network: false },
      workingDirectory: `${workshop.inside.buildpacks}/${folderName}`,
    });
  const defaults = parseRelease(said.text());
  const procfile = readUntrustedFile(join(workshop.buildFolder, "Procfile"));
  const declared = procfile === undefined ? {} : parseProcfile(procfile);
  const list = (types: string[]) => types.join(", ") || "(none)";
  await print.step("Discovering process types");
  const added = Object.keys(defaults).filter((type) => !(type in declared));
  // Heroku's own spacing: one arrow below the other, and one space where only types are declared.
  const types = Object.keys(declared);
  const gap = added.length > 0 || types.length === 0 ? "    " : "";
  await print.detail(`Procfile declares types ${gap}-> ${list(types)}`);
  if (added.length > 0) await print.detail(`Default types for buildpack -> ${list(added)}`);
  await print.line("");
  if (procfile !== undefined && Object.keys(declared).length === 0)
    await print.problem(
      "The Procfile has no line of the form `type: command`, so it declares nothing.",
    );
  return { ...defaults, ...declared };
}

function parseRelease(yaml: string): ProcessTypes {
  try {
    return releaseOutput.parse(Bun.YAML.parse(yaml) ?? {}).default_process_types ?? {};
  } catch {
    return {};
  }
}

async function packSlug(
  slugs: SlugStore,
  workshop: Workshop,
  print: BuildPrinter,
): Promise<PackedSlug> {
  await print.step("Compressing...");
  renameSync(workshop.buildFolder, join(workshop.folder, "app"));
  const packed = await slugs.put(workshop.folder, workshop.idRange);
  const warning = slugSizeWarning(packed.sizeBytes);
  if (warning) await print.problem(warning);
  if (packed.sizeBytes > maxSlugBytes) {
    const megabytes = Math.round(packed.sizeBytes / 1024 / 1024);
    await print.problem(`Compiled slug size: ${megabytes}M is too large (max is 500M).`);
    await print.problem(
      "Keep what the app does not need at run time out of it with a .slugignore file.",
    );
    await print.problem("Push failed");
    throw new BuildFailed("slug too large");
  }
  await print.detail(`Done: ${printedSize(packed.sizeBytes)}`);
  return packed;
}

const softLimitBytes = 300 * 1024 * 1024;

/** What is said of a slug that is large, but not too large (contract §4.3). Pure. */
export function slugSizeWarning(sizeBytes: number): string | undefined {
  if (sizeBytes <= softLimitBytes || sizeBytes > maxSlugBytes) return undefined;
  const megabytes = Math.round(sizeBytes / 1024 / 1024);
  return `Warning: Your slug size (${megabytes} MB) exceeds our soft limit (300 MB) which may affect boot time.`;
}
