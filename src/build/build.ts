import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { asUser } from "../lib/as-user.ts";
import { exec, execOk } from "../lib/exec.ts";
import { giveAllTo } from "../lib/give-to.ts";
import { readUntrustedFile } from "../lib/untrusted-file.ts";
import type { App } from "../model/app.ts";
import type { ConfigVars } from "../model/config-vars.ts";
import { parseProcfile } from "../model/procfile.ts";
import type { ProcessTypes } from "../model/slug.ts";
import { maxSlugBytes, type PackedSlug, type SlugStore } from "../slug/slug-store.ts";
import { copyBuildpack, detectionOrder } from "./buildpacks.ts";
import { type BuildOutput, type BuildPrinter, buildPrinter, printedSize } from "./output.ts";
import { stackTitle } from "./stack.ts";
import { BuildTimeout, openWorkshop, type Workshop, type WorkshopOptions } from "./workshop.ts";

/** A build that ended without a slug; its reason was printed where the user sees it. */
export class BuildFailed extends Error {
  override readonly name = "BuildFailed";
}

export interface BuilderOptions extends WorkshopOptions {
  slugs: SlugStore;
}

export interface BuildSource {
  /** The commit, or what else names this version. */
  version: string;
  /** Fills a folder, with the app's own ids. */
  checkOut(folder: string, userId: number): Promise<void>;
}

export interface BuiltSlug extends PackedSlug {
  processTypes: ProcessTypes;
  buildpack: string;
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
  async function build(
    app: App,
    request: { source: BuildSource; config: ConfigVars; output: BuildOutput; signal: AbortSignal },
  ): Promise<BuiltSlug> {
    const print = buildPrinter(request.output);
    const workshop = openWorkshop(options, app, { ...request, version: request.source.version });
    try {
      await request.source.checkOut(workshop.buildFolder, workshop.userId);
      await applySlugIgnore(workshop);
      await print.line("Building source:");
      await print.line("");
      await print.step(`Building on the ${stackTitle(app.stack)} stack`);
      const { buildpack, description } = await detect(workshop, app, print);
      await print.step(`${description} app detected`);
      await compile(workshop, { buildpack, description, print });
      const processTypes = await discoverProcessTypes(workshop, buildpack, print);
      const packed = await packSlug(options.slugs, workshop, print);
      return { ...packed, processTypes, buildpack, buildpackDescription: description };
    } finally {
      await workshop.close();
    }
  }

  return {
    build,
    /** Deletes the build cache of an app. */
    async forget(app: App): Promise<void> {
      await exec(["rm", "-rf", "--", join(cachesDir, app.id)]);
    },
  };
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

const detectionHint = "A Node.js app has a package.json, a file, in its root folder.";

/** Asks the buildpacks in their order; the one of the last build is asked alone (contract clause 68). */
async function detect(workshop: Workshop, app: App, print: BuildPrinter) {
  if (app.buildpack) await print.step(`Using buildpack: heroku/${app.buildpack}`);
  else await print.step("Determining which buildpack to use for this app");
  for (const buildpack of app.buildpack ? [app.buildpack] : detectionOrder) {
    await bringBuildpack(workshop, buildpack);
    let said = "";
    const decoder = new TextDecoder();
    const status = await workshop.run(buildpack, "detect", [workshop.inside.build], {
      output: { write: (bytes) => void (said = (said + asText(decoder, bytes)).slice(0, 4096)) },
      network: false,
    });
    if (status === 0) return { buildpack, description: firstLine(said) || buildpack };
    if (app.buildpack) {
      await print.step(`App not compatible with buildpack: heroku/${app.buildpack}`);
      await print.detail(`More info: ${detectionHint}`);
      await print.problem("Push failed");
      throw new BuildFailed("not compatible with its buildpack");
    }
  }
  await print.problem("No default language could be detected for this app.");
  await print.line(
    "\t\t\tHINT: This occurs when Stator cannot detect the buildpack to use for this application automatically.",
  );
  await print.line(`\t\t\tBuilt-in buildpacks: ${detectionOrder.join(", ")}. ${detectionHint}`);
  await print.line("");
  await print.problem("Push failed");
  throw new BuildFailed("no language detected");
}

async function bringBuildpack(workshop: Workshop, buildpack: string): Promise<void> {
  const folder = workshop.buildpackFolder(buildpack);
  copyBuildpack(join(workshop.buildpacksDir, buildpack), folder);
  await giveAllTo(folder, workshop.userId);
}

async function compile(
  workshop: Workshop,
  {
    buildpack,
    description,
    print,
  }: { buildpack: string; description: string; print: BuildPrinter },
): Promise<void> {
  const { inside } = workshop;
  let status: number;
  try {
    status = await workshop.run(
      buildpack,
      "compile",
      [inside.build, inside.cache, inside.environment],
      { output: print.raw, network: true },
    );
  } catch (error) {
    if (!(error instanceof BuildTimeout)) throw error;
    await print.line("");
    await print.step(`Timed out running buildpack ${description}`);
    await print.problem("Push failed");
    throw new BuildFailed("timed out");
  }
  if (status === 0) return;
  await print.problem(`Push rejected, failed to compile ${description} app.`);
  await print.line("");
  await print.problem("Push failed");
  throw new BuildFailed("compile failed");
}

const releaseOutput = z.object({
  default_process_types: z
    .record(z.string().regex(/^[A-Za-z0-9_-]{1,128}$/), z.string().min(1).max(10_000))
    .nullish(),
});

/** The Procfile's types over the buildpack's defaults (contract §1.1). */
async function discoverProcessTypes(
  workshop: Workshop,
  buildpack: string,
  print: BuildPrinter,
): Promise<ProcessTypes> {
  let yaml = "";
  const decoder = new TextDecoder();
  await workshop.run(buildpack, "release", [workshop.inside.build], {
    output: { write: (bytes) => void (yaml = (yaml + asText(decoder, bytes)).slice(0, 65_536)) },
    network: false,
  });
  const defaults = parseRelease(yaml);
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

function asText(decoder: TextDecoder, bytes: Uint8Array | string): string {
  return typeof bytes === "string" ? bytes : decoder.decode(bytes, { stream: true });
}

function firstLine(text: string): string {
  // What a buildpack calls itself goes into lines of ours: one line, nothing that moves a cursor.
  return (text.split("\n")[0] ?? "")
    .replaceAll(/[^\x20-\x7e]/g, "")
    .trim()
    .slice(0, 60);
}
