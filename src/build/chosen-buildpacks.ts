import { lstatSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readUntrustedFile } from "../lib/untrusted-file.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { type BuildpackName, readBuildpackName } from "../model/buildpack-source.ts";
import type { ConfigVars } from "../model/config-vars.ts";

/** `inline`: the app's own `bin/detect` and `bin/compile`. */
export type Chosen = BuildpackName | "inline";

/** What somebody has decided on, and where; nothing: the buildpacks are asked. */
export interface Choice {
  buildpacks: Chosen[];
  /** A file of the app, or a config var; `null`: they are set for the app. */
  origin: string | null;
}

/** A file of the app names something that is no buildpack; told to its owner. */
export class BadBuildpackFile extends Error {}

/** The buildpacks of a build: as they are set, then as the app's own files say. */
export function chooseBuildpacks(
  set: BuildpackName[],
  { buildFolder, config }: { buildFolder: string; config: ConfigVars },
): Choice | undefined {
  const legacy = config["BUILDPACK_URL"]?.trim();
  if (legacy) return fromTexts("BUILDPACK_URL", [legacy]);
  if (set.length > 0) return { buildpacks: set, origin: null };
  const read = (name: string) => readUntrustedFile(join(buildFolder, name));
  for (const [file, parse] of Object.entries(files)) {
    const text = read(file);
    const names = text === undefined ? [] : parse(text);
    if (names.length > 0) return fromTexts(file, names);
  }
  const isInline = ["bin/detect", "bin/compile"].every((path) =>
    isProgram(join(buildFolder, path)),
  );
  return isInline ? { buildpacks: ["inline"], origin: "bin/compile" } : undefined;
}

const projectToml = z.object({
  io: z
    .object({
      buildpacks: z.object({
        group: z.array(z.object({ id: z.string().optional(), uri: z.string().optional() })),
      }),
    })
    .optional(),
  build: z
    .object({
      buildpacks: z.array(z.object({ id: z.string().optional(), uri: z.string().optional() })),
    })
    .optional(),
});
const appJson = z.object({ buildpacks: z.array(z.object({ url: z.string() })).optional() });

/** The first file that names a buildpack decides; one that is of another shape says nothing. */
const files: Record<string, (text: string) => string[]> = {
  "project.toml"(text) {
    const project = projectToml.safeParse(attempt(() => Bun.TOML.parse(text))).data;
    const groups = project?.io?.buildpacks.group ?? project?.build?.buildpacks ?? [];
    return groups.flatMap(({ id, uri }) => uri ?? id ?? []);
  },
  "app.json": (text) =>
    appJson
      .safeParse(attempt(() => JSON.parse(text) as unknown))
      .data?.buildpacks?.map(({ url }) => url) ?? [],
  ".buildpacks": (text) =>
    text
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== "" && !line.startsWith("#")),
};

function attempt(parse: () => unknown): unknown {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

function fromTexts(origin: string, texts: string[]): Choice {
  try {
    return { buildpacks: texts.map(readBuildpackName), origin };
  } catch (error) {
    if (error instanceof PlatformError) throw new BadBuildpackFile(`${origin}: ${error.message}`);
    throw error;
  }
}

function isProgram(path: string): boolean {
  const info = lstatSync(path, { throwIfNoEntry: false });
  return info?.isFile() === true && (info.mode & 0o100) !== 0;
}
