import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { readUntrustedFile } from "../lib/untrusted-file.ts";
import type { App } from "../model/app.ts";
import { parseProcfile } from "../model/procfile.ts";
import type { ProcessTypes } from "../model/slug.ts";
import { maxSlugBytes, type PackedSlug, type SlugStore } from "../slug/slug-store.ts";
import { BuildFailed } from "./build-failed.ts";
import type { BuildCaches } from "./build-caches.ts";
import { buildSteps } from "./build-steps.ts";
import { maskedOutput, maskedText, secretsOf } from "./masked-output.ts";
import { type BuildPrinter, printedSize } from "./output.ts";
import { readReleaseOutput, type ReleaseOutput } from "./release-output.ts";
import { applySlugIgnore } from "./slug-ignore.ts";
import { type BuildStack, stackTitle } from "./stack.ts";
import type { BuilderOptions, BuildRequest, BuiltSlug } from "./build-request.ts";
import type { Workshop } from "./workshop.ts";

/** The way of buildpacks: detect, compile, release, pack (contract §4.2). */
export async function buildSlug(
  options: BuilderOptions,
  workshop: Workshop,
  {
    app,
    caches,
    print,
    stack,
    ...request
  }: BuildRequest & { app: App; caches: BuildCaches; print: BuildPrinter; stack: BuildStack },
): Promise<BuiltSlug> {
  workshop.showConfig(request.config);
  workshop.useStack(stack);
  await applySlugIgnore(workshop);
  await print.line("Building source:");
  await print.line("");
  await print.step(`Building on the ${stackTitle(shownName(stack))} stack`);
  const last = await buildSteps(options, workshop, { ...request, print }).runAll();
  await print.step("Discovering process types");
  const secrets = secretsOf(request.config);
  const release = await askRelease(workshop, last.folderName, { print, secrets });
  const processTypes = await discoverProcessTypes(workshop, release, { print, secrets });
  const [packed] = await Promise.all([
    packSlug(options.slugs, workshop, print),
    caches.bound(app, print),
  ]);
  const { detected, description } = last;
  const found = { processTypes, addons: release.addons, detected };
  return { ...packed, ...found, buildpackDescription: description, images: null };
}

/** The machine's own software is called what it is like. */
function shownName({ name, announced, digest }: BuildStack): string {
  return digest === null ? announced : name;
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
