import { hostIdBase } from "../lib/id-range.ts";
import type { App } from "../model/app.ts";
import { type Dyno, dynoName } from "../model/dyno.ts";
import { type OpenedRelease, metadataVariables } from "./opened-release.ts";
import type { TypeImage } from "../model/slug.ts";
import { programOf } from "./image-program.ts";
import { defaultDynoSize, type DynoSize, type DynoSizes } from "../model/dyno-size.ts";
import type { DiskFolders } from "../runtime/disk.ts";
import { initPath } from "../runtime/rootfs.ts";
import type {
  ContainerMount,
  ContainerSpec,
  NetworkAddress,
  TerminalSize,
} from "../runtime/runtime.ts";

/**
 * What a dyno that answers no request has of its size's weight: where the processors are not enough
 * for all, people are not kept waiting by workers and one-offs.
 */
const unseenShare = 1 / 4;

/** Turns app, release and size into a container (contract §1.1, §1.3). Pure. */
export function dynoSpec(options: {
  app: App;
  dyno: Dyno;
  opened: OpenedRelease;
  size: DynoSize;
  /** What it writes, gone with it (contract §1.4). */
  folders: DiskFolders;
  /** The root of a dyno that runs on a container image. */
  root: string | null;
  /** Folder that is shown as `/etc/heroku`. */
  metadataFolder: string | null;
  network: NetworkAddress;
  terminal: TerminalSize | null;
}): ContainerSpec {
  const { app, dyno, opened, size, folders, network } = options;
  const isWeb = dyno.type === "web";
  const spec = {
    id: dyno.id,
    hostname: dyno.id,
    ...(opened.image && options.root !== null
      ? { ...onImage(dyno, opened.image), rootfs: options.root, ownsRoot: true }
      : onSlug(dyno, opened, folders)),
    environment: dynoEnvironment(dyno, opened),
    hostIdBase: hostIdBase(app.idRange),
    limits: {
      memoryBytes: size.memoryBytes,
      memoryKillBytes: size.memoryKillBytes,
      cpuWeight: isWeb ? size.cpuWeight : size.cpuWeight * unseenShare,
      maxProcesses: size.maxProcesses,
      ...(folders.limit && { writing: folders.limit }),
    },
    terminal: options.terminal,
    network,
    openPort: isWeb ? dyno.port : null,
  };
  const { metadataFolder } = options;
  if (metadataFolder === null) return spec;
  return { ...spec, mounts: [...spec.mounts, metadataMount(metadataFolder)] };
}

type Ground = Pick<ContainerSpec, "argv" | "workingDirectory" | "mounts" | "rootfs">;

/** The root of its stack, with the slug in `/app`. */
function onSlug(dyno: Dyno, opened: OpenedRelease, { upper, work, tmp }: DiskFolders): Ground {
  const { slugFolder: lower, stack } = opened;
  return {
    rootfs: stack.rootfs,
    // A login shell reads .profile.d and .profile; tini reaps what the app orphans.
    argv: [initPath, "--", "bash", "--login", "-c", dyno.command],
    workingDirectory: "/app",
    mounts: [
      { kind: "overlay", lower, upper, work, target: "/app" },
      { kind: "bind", source: tmp, target: "/tmp", readOnly: false },
    ],
  };
}

/** The root of a container image, as it says. */
function onImage(dyno: Dyno, image: TypeImage): Ground {
  return {
    argv: [initPath, "--", ...programOf(image, dyno)],
    workingDirectory: image.workingDirectory,
    mounts: [],
  };
}

/** What every process of a dyno is given; what the platform says wins over config vars. Pure. */
export function dynoEnvironment(
  dyno: Dyno,
  given: Pick<OpenedRelease, "environment" | "metadata" | "stack" | "image">,
): Record<string, string> {
  const { environment, metadata, stack, image } = given;
  const usual = { PATH: usualPath, LANG: "C.UTF-8", STACK: stack.announced };
  return {
    ...(image ? imageEnvironment(image) : usual),
    ...environment,
    ...(metadata ? metadataVariables(metadata, dyno) : {}),
    ...(image ? {} : { HOME: "/app", PWD: "/app" }),
    DYNO: dynoName(dyno),
    PORT: String(dyno.port),
  };
}

const usualPath = "/usr/local/bin:/usr/bin:/bin";

/** As Docker does it: the image's variables, and the home of its user. */
function imageEnvironment({ home, environment }: TypeImage): Record<string, string> {
  const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return { PATH: path, HOME: home, ...environment };
}

function metadataMount(source: string): ContainerMount {
  return { kind: "bind", source, target: "/etc/heroku", readOnly: true };
}

/** The size of a dyno; the usual one when the operator has taken its own away. */
export function sizeOf(sizes: DynoSizes, dyno: Pick<Dyno, "size">): DynoSize {
  return sizes.find(dyno.size) ?? (sizes.find(defaultDynoSize) as DynoSize);
}
