import { hostIdBase } from "../lib/id-range.ts";
import type { App } from "../model/app.ts";
import { type Dyno, dynoName } from "../model/dyno.ts";
import { type DynoImage, metadataVariables } from "./image.ts";
import { defaultDynoSize, type DynoSize, type DynoSizes } from "../model/dyno-size.ts";
import type { DiskFolders } from "../runtime/disk.ts";
import { initPath } from "../runtime/rootfs.ts";
import type {
  ContainerMount,
  ContainerSpec,
  NetworkAddress,
  TerminalSize,
} from "../runtime/runtime.ts";

/** Turns app, release and size into a container (contract §1.1, §1.3). Pure. */
export function dynoSpec(options: {
  app: App;
  dyno: Dyno;
  image: DynoImage;
  size: DynoSize;
  /** What it writes, gone with it (contract §1.4). */
  folders: DiskFolders;
  /** Folder that is shown as `/etc/heroku`. */
  metadataFolder: string | null;
  network: NetworkAddress;
  terminal: TerminalSize | null;
}): ContainerSpec {
  const { app, dyno, image, size, folders, network } = options;
  return {
    id: dyno.id,
    hostname: dyno.id,
    rootfs: image.stack.rootfs,
    // A login shell reads .profile.d and .profile; tini reaps what the app orphans.
    argv: [initPath, "--", "bash", "--login", "-c", dyno.command],
    environment: dynoEnvironment(dyno, image),
    workingDirectory: "/app",
    hostIdBase: hostIdBase(app.idRange),
    mounts: [
      {
        kind: "overlay",
        lower: image.slugFolder,
        upper: folders.upper,
        work: folders.work,
        target: "/app",
      },
      { kind: "bind", source: folders.tmp, target: "/tmp", readOnly: false },
      ...(options.metadataFolder === null ? [] : [metadataMount(options.metadataFolder)]),
    ],
    limits: {
      memoryBytes: size.memoryBytes,
      memoryKillBytes: size.memoryKillBytes,
      cpuWeight: size.cpuWeight,
      maxProcesses: size.maxProcesses,
    },
    terminal: options.terminal,
    network,
    openPort: dyno.type === "web" ? dyno.port : null,
  };
}

/** What every process of a dyno is given; what the platform says wins over config vars. Pure. */
export function dynoEnvironment(
  dyno: Dyno,
  { environment, metadata, stack }: Pick<DynoImage, "environment" | "metadata" | "stack">,
): Record<string, string> {
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LANG: "C.UTF-8",
    STACK: stack.announced,
    ...environment,
    ...(metadata ? metadataVariables(metadata, dyno) : {}),
    HOME: "/app",
    PWD: "/app",
    DYNO: dynoName(dyno),
    PORT: String(dyno.port),
  };
}

function metadataMount(source: string): ContainerMount {
  return { kind: "bind", source, target: "/etc/heroku", readOnly: true };
}

/** The size of a dyno; the usual one when the operator has taken its own away. */
export function sizeOf(sizes: DynoSizes, dyno: Pick<Dyno, "size">): DynoSize {
  return sizes.find(dyno.size) ?? (sizes.find(defaultDynoSize) as DynoSize);
}
