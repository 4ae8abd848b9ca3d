import { createHash } from "node:crypto";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { hashed, UnsafeArchive, unpackArchive } from "../lib/archive.ts";
import { exec, execOk } from "../lib/exec.ts";
import { giveTo } from "../lib/give-to.ts";
import { sharedImageId } from "../lib/id-range.ts";
import { createSerializer } from "../lib/lock.ts";
import { PlatformError } from "../lib/platform-error.ts";
import {
  copyImage,
  type ImageSource,
  type LayeredSource,
  resolveDigest,
  sourceName,
} from "./copy-image.ts";
import { assertRoom, assertWanted, type ImageJob, whileThereIsRoom } from "./image-job.ts";
import { checkLayers, type ImageConfig, plainConfig, readLayout } from "./image-layout.ts";
import { runTool, ToolFailure } from "./image-tool.ts";
import { finishRoot } from "./image-root.ts";

/** An image, unpacked: what a container has as its read-only root (`ContainerSpec.rootfs`). */
export interface StoredImage {
  /** `sha256:…`: of the manifest, as its registry calls it; of a tar the sum of the file. */
  digest: string;
  /** Absolute path of the unpacked root. */
  rootfs: string;
  config: ImageConfig;
  /** On the disk. */
  sizeBytes: number;
}

export interface ImageStoreOptions {
  /** Passable for the containers' users. */
  folder: string;
  /** For the tool that asks registries: proxies, `SSL_CERT_FILE`. */
  environment?: Record<string, string>;
  /** Of the disk that `folder` is on. */
  freeDiskBytes: () => number;
  minFreeDiskBytes: number;
  /** What an image may grow to. */
  maxBytes?: number;
  maxEntries?: number;
}

export interface AddOptions {
  /** The only digest that will do. */
  digest?: string | undefined;
  /** Hears a line now and then. */
  onProgress?: (line: string) => void;
}

export interface ImageStore {
  /**
   * Takes an image in; one that is there already is not fetched again. Throws a PlatformError that names what is
   * wrong with it or with where it should come from; then nothing of it is left.
   */
  add(source: ImageSource, options?: AddOptions): Promise<StoredImage>;
  find(digest: string): StoredImage | undefined;
  /** An image that was added will not be named by anybody: the next sweep takes it, unless it is kept. */
  giveUp(digest: string): void;
  /** Removes the other images, and what a server that died was adding. Containers of those kept go on. */
  sweep(keep: ReadonlySet<string>): Promise<void>;
}

/**
 * Images by their content. All files of one are an unprivileged user's of the host, whom no program runs as: programs
 * read what everybody may read. No set-id bit is left.
 */
export function createImageStore(options: ImageStoreOptions): ImageStore {
  const { folder, maxBytes = 8 * 1024 ** 3, maxEntries = 1_000_000 } = options;
  const bounds = { ...options, environment: options.environment ?? {}, maxBytes, maxEntries };
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const placeOf = (digest: string) => join(folder, digest.replace("sha256:", ""));
  const inTurn = createSerializer();
  /** Made by this server, and not in its database yet: a sweep at that moment leaves them. */
  const unclaimed = new Set<string>();

  function find(digest: string): StoredImage | undefined {
    const place = placeOf(digest);
    if (!/^sha256:[0-9a-f]{64}$/.test(digest) || !existsSync(place)) return undefined;
    const kept = JSON.parse(readFileSync(join(place, "image.json"), "utf8")) as KeptImage;
    return { digest, rootfs: join(place, "rootfs"), ...kept };
  }

  async function add(
    source: ImageSource,
    { digest: wanted, onProgress = () => {} }: AddOptions,
  ): Promise<StoredImage> {
    const userId = sharedImageId();
    assertRoom(options);
    const work = join(folder, `.new-${crypto.randomUUID()}`);
    unclaimed.add(work);
    try {
      mkdirSync(work, { mode: 0o700 });
      giveTo(work, userId);
      const job: ImageJob = { ...bounds, work, userId, onProgress, wanted };
      const found =
        source.kind === "tar"
          ? await unpackTar(source, job, find)
          : await unpackImage(source, job, find);
      if (isStored(found)) return found;
      const { digest, config } = found;
      // What the tools have left beside it (the password of a registry, say) goes with the work.
      const made = join(work, "image");
      mkdirSync(made, { mode: 0o711 });
      const rootfs = join(made, "rootfs");
      renameSync(join(work, "rootfs"), rootfs);
      await finishRoot(rootfs, userId);
      const kept: KeptImage = { config, sizeBytes: await sizeOf(rootfs) };
      writeFileSync(join(made, "image.json"), JSON.stringify(kept), { mode: 0o600 });
      await execOk(["sync", "--file-system", made]);
      const place = placeOf(digest);
      unclaimed.add(place);
      if (!existsSync(place)) renameSync(made, place);
      return find(digest) as StoredImage;
    } catch (error) {
      throw plainly(error, source);
    } finally {
      await exec(["rm", "-rf", "--", work]);
      unclaimed.delete(work);
    }
  }

  return {
    add: (source, given = {}) => inTurn(JSON.stringify(source), () => add(source, given)),
    find,
    giveUp: (digest) => void unclaimed.delete(placeOf(digest)),
    async sweep(keep) {
      for (const digest of keep) unclaimed.delete(placeOf(digest));
      for (const name of readdirSync(folder)) {
        const path = join(folder, name);
        if (keep.has(`sha256:${name}`) || unclaimed.has(path)) continue;
        // Under another name first: what is half deleted must not be found.
        const aside = name.startsWith(".") ? path : join(folder, `.old-${crypto.randomUUID()}`);
        if (aside !== path) renameSync(path, aside);
        await exec(["rm", "-rf", "--", aside]);
      }
    },
  };
}

function isStored(image: Unpacked | StoredImage): image is StoredImage {
  return "rootfs" in image;
}

type KeptImage = Pick<StoredImage, "config" | "sizeBytes">;
type Unpacked = Pick<StoredImage, "digest" | "config">;

/** A tar of a root, as `mmdebstrap` and `docker export` write it; plain, gzip or zstd. */
async function unpackTar(
  { path }: Extract<ImageSource, { kind: "tar" }>,
  job: ImageJob,
  known: (digest: string) => StoredImage | undefined,
): Promise<Unpacked | StoredImage> {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile())
    throw new PlatformError("not_found", `There is no file ${path}.`);
  const digest = await sumOf(path);
  assertWanted(job, digest);
  const there = known(digest);
  if (there) return there;
  job.onProgress("Unpacking");
  const rootfs = join(job.work, "rootfs");
  mkdirSync(rootfs, { mode: 0o755 });
  giveTo(rootfs, job.userId);
  const hash = createHash("sha256");
  const limits = { maxBytes: job.maxBytes, maxEntries: job.maxEntries };
  await unpackArchive(hashed(whileThereIsRoom(createReadStream(path), job), hash), {
    ...{ folder: rootfs, userId: job.userId, ...limits },
    // A root's links lead to its own places, which are elsewhere here; its devices are never used.
    ...{ linksMayLeave: true, leftOut: "dev" },
  });
  if (digest !== `sha256:${hash.digest("hex")}`)
    throw new PlatformError("invalid_params", "The archive has changed while it was read.");
  return { digest, config: plainConfig };
}

async function sumOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path)) hash.update(bytes as Uint8Array);
  return `sha256:${hash.digest("hex")}`;
}

/** The folder that an archive is of; made with the rights of nobody, as all that comes from others. */
async function unpackFolder(
  { path, tag, shown = path }: Extract<ImageSource, { kind: "oci-archive" }>,
  job: ImageJob,
): Promise<LayeredSource> {
  const folder = join(job.work, "source");
  mkdirSync(folder, { mode: 0o700 });
  giveTo(folder, job.userId);
  const limits = { maxBytes: job.maxBytes, maxEntries: job.maxEntries };
  const bytes = whileThereIsRoom(createReadStream(path), job);
  await unpackArchive(bytes, { folder, userId: job.userId, ...limits });
  return { kind: "oci", path: folder, tag, shown };
}

/** From a registry or an OCI folder: copied, looked through, unpacked. */
async function unpackImage(
  given: Exclude<ImageSource, { kind: "tar" }>,
  job: ImageJob,
  known: (digest: string) => StoredImage | undefined,
): Promise<Unpacked | StoredImage> {
  const source = given.kind === "oci-archive" ? await unpackFolder(given, job) : given;
  const resolved = source.kind === "docker" ? await resolveDigest(source, job) : undefined;
  const there = resolved && known(resolved);
  if (there) return there;
  const layout = join(job.work, "layout");
  await copyImage(source, layout, { job, digest: resolved });
  const image = readLayout(layout);
  const digest = resolved ?? image.digest;
  assertWanted(job, digest);
  const stored = known(digest);
  if (stored) return stored;
  await checkLayers(layout, image.layers, job);
  job.onProgress("Unpacking");
  const rootfs = join(job.work, "rootfs");
  const argv = ["umoci", "raw", "unpack", "--rootless", "--image", `${layout}:image`] as const;
  await runTool([...argv, rootfs], job);
  await execOk(["rm", "-rf", "--", layout]);
  return { digest, config: image.config };
}

async function sizeOf(rootfs: string): Promise<number> {
  return Number.parseInt(await execOk(["du", "--summarize", "--block-size=1", rootfs]), 10);
}

/** What is wrong with an image, or with the disk, is its operator's to hear. */
function plainly(error: unknown, source: ImageSource): unknown {
  const name = sourceName(source);
  if (error instanceof UnsafeArchive)
    return new PlatformError("invalid_params", `${name} is refused: ${error.message}.`);
  if (error instanceof ToolFailure)
    return new PlatformError("invalid_params", `${name} cannot be unpacked: ${error.message}.`);
  return error;
}
