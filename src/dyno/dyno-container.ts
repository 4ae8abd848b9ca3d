import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../lib/exec.ts";
import { giveTo } from "../lib/give-to.ts";
import { hostIdBase, hostUserId } from "../lib/id-range.ts";
import type { App } from "../model/app.ts";
import type { Dyno } from "../model/dyno.ts";
import type { DynoSizes } from "../model/dyno-size.ts";
import type { ContainerSpec, Runtime, TerminalSize } from "../runtime/runtime.ts";
import { dynoSpec, sizeOf } from "./dyno-spec.ts";
import { type DynoImage, metadataFile } from "./image.ts";

export interface ContainerContext {
  runtime: Runtime;
  sizes: DynoSizes;
  /** One folder a dyno; passable for the containers' users. */
  dynosDir: string;
}

/** Makes what a dyno's container needs of the host: its folders and its address. */
export function prepareContainer(
  { runtime, sizes, dynosDir }: ContainerContext,
  app: App,
  options: { dyno: Dyno; image: DynoImage; terminal: TerminalSize | null },
): ContainerSpec {
  const { dyno, image, terminal } = options;
  const folder = join(dynosDir, dyno.id);
  const root = hostIdBase(app.idRange);
  const user = hostUserId(app.idRange);
  const make = (path: string, owner: number, mode: number) => {
    mkdirSync(path, { mode });
    giveTo(path, owner);
    return path;
  };
  make(folder, root, 0o700);
  const metadataFolder = join(folder, "metadata");
  if (image.metadata) {
    mkdirSync(metadataFolder, { mode: 0o755 });
    writeFileSync(join(metadataFolder, "dyno"), metadataFile(image.metadata, dyno));
  }
  return dynoSpec({
    ...{ app, dyno, image, terminal },
    size: sizeOf(sizes, dyno),
    folders: {
      upper: make(join(folder, "upper"), user, 0o755),
      work: make(join(folder, "work"), root, 0o755),
      tmp: make(join(folder, "tmp"), user, 0o777),
    },
    metadataFolder: image.metadata ? metadataFolder : null,
    network: runtime.reserveAddress(dyno.id),
  });
}

/** Where a dyno's monitor writes its output. */
export function outputPath({ dynosDir }: ContainerContext, dyno: Dyno): string {
  return join(dynosDir, dyno.id, "output");
}

export async function removeDynoFolders({ dynosDir }: ContainerContext, dyno: Dyno): Promise<void> {
  await exec(["rm", "-rf", "--", join(dynosDir, dyno.id)]);
}
