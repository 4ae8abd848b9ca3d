import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { exec } from "../lib/exec.ts";
import { giveTo } from "../lib/give-to.ts";
import { hostIdBase, hostUserId } from "../lib/id-range.ts";
import type { App } from "../model/app.ts";
import type { ConfigVars } from "../model/config-vars.ts";
import { initPath } from "../runtime/rootfs.ts";
import type { ContainerLimits, ContainerMount, Runtime } from "../runtime/runtime.ts";
import { type BuildOutput, limitedOutput } from "./output.ts";
import type { BuildStack } from "./stack.ts";

export interface WorkshopOptions {
  runtime: Runtime;
  /** Builds in progress, passable for the containers' users. */
  buildsDir: string;
  /** Build caches, one folder an app. */
  cachesDir: string;
  buildpacksDir: string;
  /** This program, which is also the `bun` and the `toolbox` of builds. */
  program: readonly string[];
  /** Reaches every build and no dyno. */
  environment: Record<string, string>;
  caBundle: string | undefined;
  limits: ContainerLimits;
  timeoutMs: number;
  /** Of the disk that builds are on. */
  freeDiskBytes: () => number;
}

/** One push may print so much in each step. */
const maxStepOutputBytes = 20 * 1024 * 1024;

/** A build never has the last of the disk: apps, their logs and the store live on it. */
const reservedDiskBytes = 128 * 1024 * 1024;
const lookAtDiskEveryMs = 100;

/** The folders of one build, and the way in which its steps are run. */
export interface Workshop {
  folder: string;
  buildFolder: string;
  idRange: number;
  userId: number;
  buildpacksDir: string;
  /** `/tmp` of the build, as the server sees it. */
  tmpFolder: string;
  buildpackFolder(name: string): string;
  /** Lays the config vars out for the steps; before the first of them. */
  showConfig(config: ConfigVars): void;
  /** Runs a program in a container of its own; paths are those inside. */
  run(argv: [string, ...string[]], options: StepOptions): Promise<number>;
  /** What its steps run on from now; the machine's own software until then. */
  useStack(stack: BuildStack): void;
  inside: { build: string; cache: string; environment: string; buildpacks: string };
  /** What the operator hands to every build: the names of its variables, and the file of its certificates. */
  operator: { variables: string[]; caBundle: string | undefined };
  close(): Promise<void>;
}

export interface StepOptions {
  output: BuildOutput;
  network: boolean;
  workingDirectory?: string;
  /** It is the platform's own, and has the machine's software whatever the stack is. */
  onHost?: boolean;
  /** Variables of this step alone. */
  environment?: Record<string, string>;
  /** It makes images, and has these folders for them. */
  images?: ImageFolders;
}

/** Where images and layers are kept, and where there is room on the way. */
export interface ImageFolders {
  folder: string;
  scratch: string;
}

export function openWorkshop(
  options: WorkshopOptions,
  app: App,
  { version, signal, announced }: { version: string; signal: AbortSignal; announced: string },
): Workshop {
  const id = crypto.randomUUID();
  const folder = join(options.buildsDir, id);
  const base = hostIdBase(app.idRange);
  const userId = hostUserId(app.idRange);
  const own = (path: string, mode = 0o755, owner = userId) => {
    mkdirSync(path, { recursive: true, mode });
    chmodSync(path, mode);
    giveTo(path, owner);
    return path;
  };
  own(folder, 0o700, base);
  const tmp = own(join(folder, "tmp"), 0o1777);
  // The same in each build of an app: what tools keep in their caches often has the place in it.
  const name = `build_${app.id.slice(0, 8)}`;
  const inside = {
    build: `/tmp/${name}`,
    cache: "/tmp/codon/tmp/cache",
    environment: `/tmp/env_${id.slice(0, 8)}`,
    buildpacks: "/tmp/codon/tmp/buildpacks",
  };
  const buildFolder = own(join(tmp, name));
  const home = own(join(folder, "home"));
  for (const path of ["codon", "codon/tmp", "codon/tmp/cache", "codon/tmp/buildpacks"])
    own(join(tmp, path));
  const cache = own(join(options.cachesDir, app.id), 0o700);
  const environmentFolder = own(join(tmp, `env_${id.slice(0, 8)}`), 0o700);
  const deadline = AbortSignal.timeout(options.timeoutMs);
  let ground: Pick<BuildStack, "announced" | "rootfs"> = { announced, rootfs: undefined };
  /** Which root the cache is of; there is none for the machine's own. */
  const rootOfCache = join(options.cachesDir, `.root-${app.id}`);
  const stop = AbortSignal.any([signal, deadline]);

  return {
    folder,
    buildFolder,
    idRange: app.idRange,
    userId,
    inside,
    operator: {
      variables: Object.keys(buildEnvironment(options)),
      caBundle: options.caBundle && caBundleInside,
    },
    buildpacksDir: options.buildpacksDir,
    tmpFolder: tmp,
    buildpackFolder: (buildpack) => join(tmp, "codon/tmp/buildpacks", buildpack),
    showConfig: (config) => writeEnvironmentFolder(environmentFolder, config, userId),
    useStack(stack) {
      ground = stack;
      const before = existsSync(rootOfCache) ? readFileSync(rootOfCache, "utf8") : "";
      if (before === (stack.rootfs ?? "")) return;
      // What was compiled against another C library does not run here.
      const aside = join(options.cachesDir, `.${crypto.randomUUID()}`);
      renameSync(cache, aside);
      own(cache, 0o700);
      writeFileSync(rootOfCache, stack.rootfs ?? "");
      void exec(["rm", "-rf", "--", aside]);
    },
    async run(
      argv,
      { output, network, workingDirectory = "/tmp", environment = {}, onHost, images },
    ) {
      stop.throwIfAborted();
      const containerId = `build-${crypto.randomUUID()}`;
      const limited = limitedOutput(output, maxStepOutputBytes);
      const attached = options.runtime.attach(
        {
          id: containerId,
          hostname: "build",
          rootfs: onHost ? undefined : ground.rootfs,
          argv: [initPath, "--", ...argv],
          environment: {
            ...buildEnvironment(options),
            PATH: "/opt/stator/bin:/usr/local/bin:/usr/bin:/bin",
            HOME: "/app",
            STACK: ground.announced,
            SOURCE_VERSION: version,
            REQUEST_ID: id,
            DYNO: `run.${Number.parseInt(id.slice(0, 4), 16) % 10_000}`,
            LANG: "C.UTF-8",
            ...environment,
          },
          workingDirectory,
          hostIdBase: base,
          mounts: [
            { kind: "bind", source: tmp, target: "/tmp", readOnly: false },
            { kind: "bind", source: cache, target: inside.cache, readOnly: false },
            { kind: "bind", source: home, target: "/app", readOnly: false },
            ...programMounts(options),
            ...(images ? imageMounts(images) : []),
          ],
          makesImages: images !== undefined,
          limits: options.limits,
          terminal: null,
          openPort: null,
          network: network ? options.runtime.reserveAddress(containerId) : null,
        },
        { output: (bytes) => limited.write(bytes), joined: true },
      );
      attached.endInput();
      const kill = () => void options.runtime.signal(containerId, "KILL");
      stop.addEventListener("abort", kill);
      const isFull = () => options.freeDiskBytes() < reservedDiskBytes;
      let hasFilledDisk = false;
      const again = setInterval(() => {
        hasFilledDisk ||= isFull();
        if (stop.aborted || hasFilledDisk) kill();
      }, lookAtDiskEveryMs);
      try {
        const status = await attached.exited;
        assertFolder(buildFolder, userId);
        signal.throwIfAborted();
        if (deadline.aborted) throw new BuildTimeout("Timed out");
        if (hasFilledDisk) throw new DiskFilled();
        return status;
      } finally {
        clearInterval(again);
        stop.removeEventListener("abort", kill);
      }
    },
    close: async () => {
      await exec(["rm", "-rf", "--", folder]);
    },
  };
}

/** Where a step finds the images that it makes. */
export const imagesInside = "/opt/stator/images";

function imageMounts({ folder, scratch }: ImageFolders): ContainerMount[] {
  const places = [
    [folder, imagesInside],
    // Programs that make images go there, whatever they are told.
    [scratch, "/var/tmp"],
  ] as const;
  return places.map(([source, target]) => ({ kind: "bind", source, target, readOnly: false }));
}

/** A build has used up its time. */
export class BuildTimeout extends Error {}

/** A build has used up the disk, but for what others need of it. */
export class DiskFilled extends Error {}

/** A build owns /tmp and may put a link in the place of its folder; a link is never followed. */
function assertFolder(path: string, userId: number): void {
  const info = lstatSync(path, { throwIfNoEntry: false });
  if (!info?.isDirectory() || info.uid !== userId)
    throw new Error("the build has put something else in the place of its BUILD_DIR");
}

/** What is of the platform inside a build, all of it read-only. */
function programMounts({ program, caBundle }: WorkshopOptions): ContainerMount[] {
  // Not compiled, the program is Bun and this checkout.
  const source = program.length > 1 ? dirname(program.at(-1) ?? "") : undefined;
  const places: [source: string | undefined, target: string][] = [
    [program[0], "/opt/stator/bin/stator"],
    [source, "/opt/stator/source/src"],
    [source && join(source, "../node_modules"), "/opt/stator/source/node_modules"],
    [caBundle, caBundleInside],
  ];
  return places.flatMap(([source, target]) =>
    source === undefined ? [] : [{ kind: "bind" as const, source, target, readOnly: true }],
  );
}

const caBundleInside = "/opt/stator/ca.pem";

/** The operator's settings, with the CA bundle under the names that the usual tools read. */
function buildEnvironment({ environment, caBundle }: WorkshopOptions): Record<string, string> {
  if (!caBundle) return environment;
  const names =
    "NODE_EXTRA_CA_CERTS SSL_CERT_FILE CURL_CA_BUNDLE GIT_SSL_CAINFO PIP_CERT REQUESTS_CA_BUNDLE".split(
      " ",
    );
  return { ...Object.fromEntries(names.map((name) => [name, caBundleInside])), ...environment };
}

/** One file a config var, without a newline (contract §5). */
function writeEnvironmentFolder(folder: string, config: ConfigVars, userId: number): void {
  for (const [key, value] of Object.entries(config)) {
    const path = join(folder, key);
    writeFileSync(path, value, { mode: 0o600 });
    giveTo(path, userId);
  }
}
