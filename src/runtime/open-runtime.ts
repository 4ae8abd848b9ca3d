import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createDynoDisks, createPlainFolders, type DynoDisks } from "./disk.ts";
import { mountBox, unmountBox } from "./box-mount.ts";
import { createOciRuntime } from "./oci-runtime.ts";
import { createProcessRuntime } from "./process-runtime.ts";
import type { Runtime } from "./runtime.ts";

/** A runtime with what it needs of the machine. */
export interface HostRuntime {
  runtime: Runtime;
  /** Where the programs that it runs find their files: slugs, dynos' folders, builds. */
  box: string;
  /** Where dynos write. */
  disks: DynoDisks;
  /** Makes mounts, the firewall and the router's place as they must be; cheap when they are. */
  reconcile(options: {
    openPorts: number[];
    routerPids: number[];
    /**
     * The containers that are asked much, and that all others leave a processor to; `null`: none is,
     * left out: they are as before.
     */
    asked?: ReadonlySet<string> | null | undefined;
  }): Promise<void>;
  /** Stops watching; what runs goes on. */
  close(): void;
  /** Removes all that is shared by what ran; when nothing is left. */
  remove(): Promise<void>;
}

export interface HostOptions {
  dataDir: string;
  /** Four hex digits that tell this server's things from another one's. */
  instance: string;
  /** How this program is started again. */
  program: [string, ...string[]];
  /** What each dyno may write, and how fast; `null`: as fast as the disk is. */
  dynoDiskBytes: number;
  dynoDiskBytesPerSecond: number | null;
}

/** `oci` on Linux with root; `process` anywhere and without any isolation. */
export function openRuntime(kind: "oci" | "process", options: HostOptions): Promise<HostRuntime> {
  return kind === "oci" ? openContainers(options) : Promise.resolve(openProcesses(options));
}

async function openContainers({
  dataDir,
  instance,
  dynoDiskBytes: sizeBytes,
  dynoDiskBytesPerSecond: bytesPerSecond,
}: HostOptions): Promise<HostRuntime> {
  const runDir = join("/run/stator", instance);
  const box = join(runDir, "box");
  mkdirSync(runDir, { recursive: true, mode: 0o711 });
  chmodSync(dataDir, 0o711);
  await mountBox(join(dataDir, "box"), box);
  const runtime = await createOciRuntime({
    runDir,
    addressesDir: "/run/stator/addresses",
    rootfs: join(box, "rootfs"),
    instance,
  });
  return {
    runtime,
    box,
    disks: await createDynoDisks({ dir: dynosDir(box), sizeBytes, bytesPerSecond }),
    async reconcile({ openPorts, routerPids, asked }) {
      await mountBox(join(dataDir, "box"), box);
      if (asked !== undefined) runtime.leaveProcessorTo(asked);
      await runtime.network.reconcile({ openPorts });
      await runtime.putFirst(routerPids);
    },
    close: () => runtime.close(),
    async remove() {
      await unmountBox(box);
      await runtime.remove();
    },
  };
}

/** One folder a dyno. */
export function dynosDir(box: string): string {
  return join(box, "dynos");
}

/** Everything is one user's, and closed to all others. */
function openProcesses({ dataDir, program }: HostOptions): HostRuntime {
  chmodSync(dataDir, 0o700);
  const box = join(dataDir, "box");
  mkdirSync(box, { recursive: true, mode: 0o700 });
  const runtime = createProcessRuntime({ runDir: join(dataDir, "run"), program });
  return {
    runtime,
    box,
    disks: createPlainFolders(dynosDir(box)),
    reconcile: () => Promise.resolve(),
    close: () => runtime.close(),
    remove: () => runtime.remove(),
  };
}
