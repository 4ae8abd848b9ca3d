import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { asUser } from "../lib/as-user.ts";
import { type Argv, exec, execOk, spawn } from "../lib/exec.ts";
import { hostUserId } from "../lib/id-range.ts";
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
import { maskedOutput, maskedText, secretsOf } from "./masked-output.ts";
import type { BuildpackStore } from "./buildpack-store.ts";
import { type BuildOutput, type BuildPrinter, buildPrinter, printedSize } from "./output.ts";
import { readReleaseOutput, type ReleaseOutput } from "./release-output.ts";
import { type BuildStack, stackTitle } from "./stack.ts";
import {
  BuildTimeout,
  DiskFilled,
  openWorkshop,
  type Workshop,
  type WorkshopOptions,
} from "./workshop.ts";

export interface BuilderOptions extends WorkshopOptions, ImageBuildContext {
  /** What the machine's own software is called in `STACK`. */
  announced: string;
  slugs: SlugStore;
  buildpackStore: BuildpackStore;
  /** Whether only buildpacks are used that say exactly which code they mean. */
  requirePins: boolean;
  /** A cache that has grown larger is not kept. */
  maxCacheBytes: number;
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
  /** What the buildpack wants the app to have from its first deploy on. */
  addons: string[];
  /** The built-in buildpack that was found by asking; it sticks (contract clause 68). */
  detected: string | null;
  buildpackDescription: string;
}

export type Builder = ReturnType<typeof createBuilder>;

export function createBuilder(options: BuilderOptions) {
  const { buildsDir, cachesDir, maxCacheBytes } = options;
  const leaving = new Set<Promise<void>>();
  const cacheOf = (app: App) => join(cachesDir, app.id);
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
      await print.step("Discovering process types");
      const secrets = secretsOf(request.config);
      const release = await askRelease(workshop, last.folderName, { print, secrets });
      const processTypes = await discoverProcessTypes(workshop, release, { print, secrets });
      const [packed] = await Promise.all([
        packSlug(options.slugs, workshop, print),
        boundCache(app, print),
      ]);
      const { detected, description } = last;
      const found = { processTypes, addons: release.addons, detected };
      return { ...packed, ...found, buildpackDescription: description, images: null };
    } catch (error) {
      await boundCache(app, print);
      throw await explained(error, print);
    } finally {
      leave(workshop);
    }
  }

  async function explained(error: unknown, print: BuildPrinter): Promise<unknown> {
    if (error instanceof DiskFilled) {
      await print.problem(
        "The build was ended: it had filled the disk of the platform. Free some space on the server, or let the build write less.",
      );
      await print.line("");
      await print.problem("Push failed");
      return new BuildFailed("the disk was full");
    }
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
    const what = { addons: [], detected: null, buildpackDescription: "Container" };
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
      leave(workshop);
    }
  }

  /** What a build has made may be many files, and nobody waits until they are gone. */
  function leave(workshop: Workshop): void {
    const gone = workshop.close().finally(() => leaving.delete(gone));
    leaving.add(gone);
  }

  async function boundCache(app: App, print: BuildPrinter): Promise<void> {
    const { stdout } = await exec(["du", "--summarize", "--block-size=1", "--", cacheOf(app)]);
    const bytes = Number.parseInt(stdout, 10);
    if (!(bytes > maxCacheBytes)) return;
    await print.problem(
      `The build cache of the app has grown to ${printedSize(bytes)}, and is not kept: at most ${printedSize(maxCacheBytes)} are.`,
    );
    await forget(app);
  }

  /** Deletes the build cache of an app. A build under way goes on with what it has of it. */
  async function forget(app: App): Promise<void> {
    await options.imageDisks?.forget(app.id);
    rmSync(join(cachesDir, `.root-${app.id}`), { force: true });
    const aside = join(cachesDir, `.${crypto.randomUUID()}`);
    if (!existsSync(cacheOf(app))) return;
    renameSync(cacheOf(app), aside);
    await exec(["rm", "-rf", "--", aside]);
  }

  /** The build cache of an app as a gzip tar, made with the app's own ids; nothing when there is none. */
  function readCache(app: App): ReadableStream<Uint8Array> | undefined {
    if (!existsSync(cacheOf(app))) return undefined;
    const argv: Argv = ["tar", "--create", "--gzip", "--file=-", "."];
    const options = { cwd: cacheOf(app), stderr: "ignore" } as const;
    return spawn<"ignore", "pipe", "ignore">(asUser(hostUserId(app.idRange), argv), options).stdout;
  }

  return {
    ...{ build, take, forget, readCache },
    /** Until nothing is left of the builds that have ended. */
    settled: async () => void (await Promise.all(leaving)),
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

interface Shown {
  print: BuildPrinter;
  secrets: Buffer[];
}

/** Asks a buildpack what the app is to be (contract §5); its complaints are shown, and kept apart from its answer. */
async function askRelease(
  workshop: Workshop,
  folderName: string,
  { print, secrets }: Shown,
): Promise<ReleaseOutput> {
  const program = join(workshop.buildpackFolder(folderName), "bin/release");
  if (!existsSync(program)) return readReleaseOutput("");
  const name = `release_${crypto.randomUUID().slice(0, 8)}.yml`;
  const output = maskedOutput(print.raw, secrets);
  const status = await workshop.run(
    ["bash", "-c", toFile, "release", `/tmp/${name}`, "./bin/release", workshop.inside.build],
    {
      ...{ output, network: false },
      workingDirectory: `${workshop.inside.buildpacks}/${folderName}`,
    },
  );
  await output.end();
  if (status !== 0) await print.problem(`The buildpack's bin/release ended with status ${status}.`);
  if (status > 128) {
    // It was killed: what it has said may be half of what the app needs.
    await print.line("");
    await print.problem("Push failed");
    throw new BuildFailed("bin/release was killed");
  }
  const answer = readUntrustedFile(join(workshop.tmpFolder, name), maxReleaseBytes) ?? "";
  const release = readReleaseOutput(answer);
  for (const problem of release.problems)
    await print.problem(`Of what the buildpack's bin/release says: ${problem}.`);
  return release;
}

const maxReleaseBytes = 65_536;

/** Writes the output of a program to the first of its arguments, and only that. */
const toFile = 'file=$1; shift; exec "$@" 2>&1 >"$file"';

/** The Procfile's types over the buildpack's defaults (contract §1.1). */
async function discoverProcessTypes(
  workshop: Workshop,
  { processTypes: defaults }: ReleaseOutput,
  { print, secrets }: Shown,
): Promise<ProcessTypes> {
  const procfile = readUntrustedFile(join(workshop.buildFolder, "Procfile"));
  const declared = procfile === undefined ? {} : parseProcfile(procfile);
  const list = (types: string[]) => maskedText(types.join(", "), secrets) || "(none)";
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
