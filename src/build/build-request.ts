import type { UsedBuildpack } from "../model/build.ts";
import type { BuildpackName } from "../model/buildpack-source.ts";
import type { ConfigVars } from "../model/config-vars.ts";
import type { ProcessTypes, SlugImage, TypeImage } from "../model/slug.ts";
import type { PackedSlug, SlugStore } from "../slug/slug-store.ts";
import type { BuildpackStore } from "./buildpack-store.ts";
import type { ImageBuildContext } from "./image-build.ts";
import type { BuildOutput, BuildPrinter } from "./output.ts";
import type { BuildStack } from "./stack.ts";
import type { Workshop, WorkshopOptions } from "./workshop.ts";

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
