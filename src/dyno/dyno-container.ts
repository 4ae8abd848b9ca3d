import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hostIdBase, hostUserId } from "../lib/id-range.ts";
import type { App } from "../model/app.ts";
import type { Dyno } from "../model/dyno.ts";
import type { DynoSizes } from "../model/dyno-size.ts";
import type { DynoDisks } from "../runtime/disk.ts";
import type { ContainerSpec, Runtime, TerminalSize } from "../runtime/runtime.ts";
import { dynoSpec, sizeOf } from "./dyno-spec.ts";
import { type OpenedRelease, metadataFile } from "./opened-release.ts";

export interface ContainerContext {
  runtime: Runtime;
  sizes: DynoSizes;
  /** One folder a dyno; passable for the containers' users. */
  dynosDir: string;
  /** What lies in them. */
  disks: DynoDisks;
}

/** Makes what a dyno's container needs of the host: where it writes, and its address. */
export async function prepareContainer(
  { runtime, sizes, dynosDir, disks }: ContainerContext,
  app: App,
  options: { dyno: Dyno; opened: OpenedRelease; terminal: TerminalSize | null },
): Promise<ContainerSpec> {
  const { dyno, opened, terminal } = options;
  const folders = await disks.make(dyno.id, {
    rootId: hostIdBase(app.idRange),
    userId: hostUserId(app.idRange),
  });
  const metadataFolder = join(dynosDir, dyno.id, "metadata");
  if (opened.metadata) {
    mkdirSync(metadataFolder, { mode: 0o755 });
    writeFileSync(join(metadataFolder, "dyno"), metadataFile(opened.metadata, dyno));
  }
  return dynoSpec({
    ...{ app, dyno, opened, terminal, folders },
    root: opened.image ? await disks.mountRoot(dyno.id, opened.slugFolder, folders) : null,
    size: sizeOf(sizes, dyno),
    metadataFolder: opened.metadata ? metadataFolder : null,
    network: runtime.reserveAddress(dyno.id),
  });
}

/** Where a dyno's monitor writes its output. */
export function outputPath({ dynosDir }: ContainerContext, dyno: Dyno): string {
  return join(dynosDir, dyno.id, "output");
}
