import { existsSync, lstatSync } from "node:fs";
import { dirname, join } from "node:path";
import { hostIdBase } from "../lib/id-range.ts";
import { readUntrustedFile } from "../lib/untrusted-file.ts";
import { imageCommand, type ProcessTypes, type SlugImage, type TypeImage } from "../model/slug.ts";
import type { KeptDisks } from "../runtime/kept-disks.ts";
import { maxImageBytes, type SlugStore } from "../slug/slug-store.ts";
import { BuildFailed } from "./build-failed.ts";
import { BadManifest, type ImageManifest, onlyDockerfile, parseHerokuYml } from "./heroku-yml.ts";
import { type ExportedImage, readImage } from "./image-config.ts";
import { type BuildOutput, type BuildPrinter, keptText, printedSize } from "./output.ts";
import { type ImageFolders, imagesInside, type Workshop } from "./workshop.ts";

export interface ImageBuildContext {
  slugs: SlugStore;
  /** Where each app's images and layers stay between builds; `null` where there are no containers. */
  imageDisks: KeptDisks | null;
}

export interface ImageBuildRequest {
  /** Names the disk. */
  appId: string;
  print: BuildPrinter;
  /** Where the builder's words go, with secrets taken out. */
  said: BuildOutput;
  /** Images whose archives are there already. */
  known: SlugImage[];
}

export interface BuiltImages {
  images: Record<string, TypeImage>;
  processTypes: ProcessTypes;
}

/** What an image's files may be in all. */
const maxRootBytes = 8 * 1024 * 1024 * 1024;

/** Builds the images of `heroku.yml`, or of a Dockerfile alone, by buildah inside of the build's walls. */
export async function buildImages(
  context: ImageBuildContext,
  workshop: Workshop,
  request: ImageBuildRequest,
): Promise<BuiltImages> {
  const { print } = request;
  await print.line("=== Fetching app code");
  await print.line("");
  const manifest = await readManifest(workshop, print);
  return withDisk(context, workshop, request, async (disk) => {
    for (const [index, order] of manifest.builds.entries()) {
      await print.line(`=== Building ${order.type} (${order.dockerfile})`);
      const call = buildCall(workshop, manifest, index);
      const status = await runScript(workshop, call, {
        ...disk,
        output: request.said,
        network: true,
      });
      if (status !== 0) await giveUp(print, `${order.type} (${order.dockerfile}) cannot be built`);
      await print.line("");
    }
    const packed = new Map<string, SlugImage>();
    for (const [index, { type, dockerfile }] of manifest.builds.entries()) {
      await print.line(`=== Pushing ${type} (${dockerfile})`);
      packed.set(type, await packImage(context, workshop, { ...request, disk, index }));
    }
    return assignTypes(manifest, packed, print);
  });
}

/** What somebody has exported: `skopeo copy … oci-archive:X`, `docker save`, `buildah push … oci-archive:X`. */
const takeScript = `mkdir -p "$TMPDIR"
buildah rm --all >/dev/null 2>&1
for kind in oci-archive docker-archive; do
  id=$(buildah pull --quiet "$kind:$1" 2>"/tmp/$kind") && exec buildah tag "$id" "$2"
done
cat /tmp/oci-archive /tmp/docker-archive
exit 1`;

/** What the check-out of an image's archive is called. */
export const imageArchive = "image.tar";

/** Takes the image of an archive, whose blobs are checked by their digests. */
export function takeImage(
  context: ImageBuildContext,
  workshop: Workshop,
  request: ImageBuildRequest,
): Promise<SlugImage> {
  const { print, said } = request;
  return withDisk(context, workshop, request, async (disk) => {
    await print.line("=== Loading the image");
    const archive = join(workshop.inside.build, imageArchive);
    const call = [takeScript, archive, tagOf(0)] as const;
    const status = await runScript(workshop, call, { ...disk, output: said, network: false });
    if (status !== 0) await giveUp(print, "The archive has no image that can be used");
    const image = await packImage(context, workshop, { ...request, disk, index: 0 });
    await print.line("");
    if (imageCommand(image) === "") await giveUp(print, "The image has neither ENTRYPOINT nor CMD");
    return image;
  });
}

interface DiskOption {
  images: ImageFolders;
}

/** Opens the app's disk of images for a build, and closes it however that ends. */
async function withDisk<Result>(
  { imageDisks }: ImageBuildContext,
  { idRange }: Workshop,
  { appId, print }: Pick<ImageBuildRequest, "appId" | "print">,
  build: (disk: DiskOption) => Promise<Result>,
): Promise<Result> {
  if (!imageDisks)
    return giveUp(print, "This server runs plain processes (--runtime process), and no images");
  const disk = await imageDisks.open(appId, hostIdBase(idRange));
  try {
    return await build({ images: disk });
  } finally {
    await disk.close();
  }
}

async function readManifest(workshop: Workshop, print: BuildPrinter): Promise<ImageManifest> {
  const text = readUntrustedFile(join(workshop.buildFolder, "heroku.yml"));
  try {
    if (text !== undefined) return parseHerokuYml(text);
  } catch (error) {
    if (!(error instanceof BadManifest)) throw error;
    return giveUp(print, `Your heroku.yml cannot be used: ${error.message}`);
  }
  if (readUntrustedFile(join(workshop.buildFolder, "Dockerfile"), 1) !== undefined)
    return onlyDockerfile();
  await print.line(
    "=!= Your app does not include a heroku.yml build manifest, nor a Dockerfile. To deploy your app, either create a heroku.yml: https://devcenter.heroku.com/articles/build-docker-images-heroku-yml",
  );
  return giveUp(print, "Or change your stack by running: stator stack:set host");
}

/** Ends a build with the last of its words. */
async function giveUp(print: BuildPrinter, reason: string): Promise<never> {
  await print.line(`=!= ${reason}.`);
  await print.line("");
  await print.problem("Push failed");
  throw new BuildFailed(reason);
}

/**
 * What a build that was killed has left goes first. The operator's variables are ARGs, for the commands of a Dockerfile
 * that declares them: an ENV would stay in the image.
 */
const buildScript = `file=$1 offered=$2
shift 2
mkdir -p "$TMPDIR"
buildah rm --all >/dev/null 2>&1
for name in $offered; do
  grep -Eiq "^\\s*ARG\\s(.*\\s)?$name(\\s|=|$)" "$file" && set -- "--build-arg=$name" "$@"
done
exec buildah build "--file=$file" "$@"`;

/** The context is the Dockerfile's folder, as at Heroku. Pure. */
function buildCall(
  { inside, operator }: Pick<Workshop, "inside" | "operator">,
  { builds, buildArguments }: ImageManifest,
  index: number,
): [string, ...string[]] {
  const { dockerfile, target } = builds[index] as ImageManifest["builds"][number];
  const { variables, caBundle } = operator;
  const file = join(inside.build, dockerfile);
  return [
    ...([buildScript, file, variables.join(" ")] as const),
    ...["--layers", "--format=docker", `--tag=${tagOf(index)}`],
    ...(target === null ? [] : [`--target=${target}`]),
    ...(caBundle === undefined ? [] : [`--volume=${caBundle}:${caBundle}:ro`]),
    ...Object.entries(buildArguments).map(([name, value]) => `--build-arg=${name}=${value}`),
    dirname(file),
  ];
}

const tagOf = (index: number) => `localhost/built:${index}`;

/** How buildah works in these walls. */
const buildahWays = {
  _CONTAINERS_USERNS_CONFIGURED: "done",
  BUILDAH_ISOLATION: "chroot",
  CONTAINERS_STORAGE_CONF: "/etc/containers/storage.conf",
  TMPDIR: `${imagesInside}/tmp`,
};

/** The step that runs a script, on the app's disk of images. */
function runScript(
  workshop: Workshop,
  [script, ...args]: readonly [string, ...string[]],
  options: { images: ImageFolders; output: BuildOutput; network: boolean },
): Promise<number> {
  const argv: [string, ...string[]] = ["bash", "-c", script, "image", ...args];
  return workshop.run(argv, { ...options, environment: buildahWays });
}

/**
 * Lays an image's root down as files of the build's user: `USER` does not count in a dyno, which runs as
 * one user without any rights, so that one has to own them. That user gets a name, too.
 */
const exportScript = `set -eu -o pipefail
image=$1 out=$2 max=$3 known=$4
mkdir -p "$TMPDIR" "$out"
buildah inspect --type image "$image" >"$out/config.json"
id=$(buildah images --no-trunc --quiet "$image")
printf %s "$id" >"$out/id"
case " $known " in *" $id "*) exit 0 ;; esac
container=$(buildah from --pull-never "$image")
root=$(buildah mount "$container")
bytes=$(du -s --apparent-size -B1 "$root" | cut -f1)
files=$(du -s --inodes "$root" | cut -f1)
[ "$files" -le 500000 ] || { echo "it has $files files, and 500000 are allowed"; exit 1; }
[ "$bytes" -le "$max" ] || { echo "its files are $bytes bytes, and $max are allowed"; exit 1; }
cp -R --no-dereference --preserve=mode,timestamps,links "$root" "$out/app"
head -c 65536 "$root/etc/passwd" >"$out/passwd" 2>/dev/null || :
buildah rm "$container" >/dev/null
cd "$out/app"
for file in passwd group; do
  [ -f "etc/$file" ] && [ ! -L etc ] && [ ! -L "etc/$file" ] || continue
  grep -q '^[^:]*:[^:]*:1000:' "etc/$file" && continue
  [ "$file" = passwd ] && row=dyno:x:1000:1000::/app:/bin/sh || row=dyno:x:1000:
  echo "$row" >>"etc/$file"
done
chown -hR 1000:1000 .
chmod -R u+rwX .`;

async function packImage(
  { slugs }: ImageBuildContext,
  workshop: Workshop,
  { print, known, disk, index }: ImageBuildRequest & { disk: DiskOption; index: number },
): Promise<SlugImage> {
  const name = `image_${crypto.randomUUID().slice(0, 8)}`;
  const complaint = keptText(4096);
  const there = known.filter(({ sha256 }) => existsSync(slugs.archive(sha256)));
  const ids = there.map(({ id }) => id).join(" ");
  const status = await runScript(
    workshop,
    [exportScript, tagOf(index), `/tmp/${name}`, String(maxRootBytes), ids],
    { ...disk, output: complaint, network: false },
  );
  if (status !== 0) {
    const words = complaint.text().trim().split("\n").slice(-5).join("; ");
    return giveUp(print, `The image cannot be used: ${words.replaceAll(/[^\x20-\x7e]/g, "")}`);
  }
  const folder = join(workshop.tmpFolder, name);
  assertOwned(folder, hostIdBase(workshop.idRange));
  const exported = readImage(folder);
  if (typeof exported === "string") return giveUp(print, `The image cannot be used: ${exported}`);
  const before = there.find(({ id }) => id === exported.id);
  if (before) {
    if (!slugs.claim(before.sha256))
      throw new Error(`the image ${before.id} was swept meanwhile; push it again`);
    await print.detail(`${exported.id} is here already`);
    return before;
  }
  assertOwned(join(folder, "app"), workshop.userId);
  return putImage(slugs, exported, { folder, idRange: workshop.idRange, print });
}

async function putImage(
  slugs: SlugStore,
  image: ExportedImage,
  { folder, idRange, print }: { folder: string; idRange: number; print: BuildPrinter },
): Promise<SlugImage> {
  const packed = await slugs.put(folder, idRange, { maxBytes: maxImageBytes, isImage: true });
  if (packed.sizeBytes > maxImageBytes)
    return giveUp(print, `The image is ${printedSize(packed.sizeBytes)}, and may be 2048.0M`);
  await print.detail(`${image.id}: ${printedSize(packed.sizeBytes)}`);
  return { ...image, ...packed };
}

/** A build may put a link in the place of what it is to leave behind. */
function assertOwned(path: string, owner: number): void {
  const info = lstatSync(path, { throwIfNoEntry: false });
  if (!info?.isDirectory() || info.uid !== owner)
    throw new Error("the build has put something else in the place of its image");
}

/** Which type runs what on which image. */
async function assignTypes(
  { commands }: ImageManifest,
  packed: Map<string, SlugImage>,
  print: BuildPrinter,
): Promise<BuiltImages> {
  const built: BuiltImages = { images: {}, processTypes: {} };
  for (const type of new Set([...packed.keys(), ...Object.keys(commands)])) {
    const { command, image: of } = commands[type] ?? { command: null, image: type };
    const image = packed.get(of) as SlugImage;
    const text = command ?? imageCommand(image);
    if (text === "")
      await print.problem(
        `${type} has no command: its Dockerfile has no CMD, and heroku.yml no run.${type}.`,
      );
    else {
      built.images[type] = { ...image, ownCommand: command === null };
      built.processTypes[type] = text;
    }
  }
  await print.line("");
  if (Object.keys(built.images).length === 0) await giveUp(print, "There is nothing to run");
  return built;
}
