import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { hashed, UnsafeArchive, unpackArchive } from "../lib/archive.ts";
import { asUser } from "../lib/as-user.ts";
import { exec, execOk, spawn } from "../lib/exec.ts";
import { giveTo } from "../lib/give-to.ts";
import { createSerializer } from "../lib/lock.ts";
import { hostIdBase, hostUserId } from "../lib/id-range.ts";

/** Heroku's limit for a compressed slug (contract §4.4). */
export const maxSlugBytes = 500 * 1024 * 1024;

/** Heroku has none for images; a machine of one's own needs one. */
export const maxImageBytes = 2 * 1024 * 1024 * 1024;

/** What an archive that somebody has made may grow to. */
const maxUnpackedBytes = 4 * 1024 * 1024 * 1024;

export interface PackedSlug {
  /** SHA-256 of the archive in hex: its name. */
  sha256: string;
  sizeBytes: number;
}

/** An archive is not what its name says: the disk or somebody has changed it (R17). */
export class ChecksumError extends Error {
  override readonly name = "ChecksumError";
  readonly expected: string;
  readonly actual: string;

  constructor(expected: string, actual: string) {
    super(`the slug ${expected} is damaged; deploy again to make a new one`);
    this.expected = expected;
    this.actual = actual;
  }
}

export interface PutOptions {
  /** `maxSlugBytes` when left out. */
  maxBytes?: number;
  /**
   * It is the root of an image: its files keep their dates, which its layers say, and it is packed by zstd, since
   * nobody else unpacks it and there is much of it.
   */
  isImage?: boolean;
}

export interface SlugStore {
  /**
   * Packs the folder `app` inside `parent` into the store and keeps the folder itself as the
   * unpacked slug. A slug above the limit is measured, but not kept.
   */
  put(parent: string, idRange: number, options?: PutOptions): Promise<PackedSlug>;
  /** The unpacked slug of an app, shared read-only by all its dynos; unpacked again when it was swept. */
  open(sha256: string, idRange: number): Promise<string>;
  /**
   * Takes an archive that somebody has made: all of it lies below `./app`. It is packed anew, so `sha256`
   * is of ours and `checksum` of the one that came, which must be the `expected` one.
   */
  take(
    archive: AsyncIterable<Uint8Array>,
    idRange: number,
    expected: string | null,
  ): Promise<PackedSlug & { checksum: string }>;
  /** Whether an archive is there; then it stays until a release keeps it, or the server starts again. */
  claim(sha256: string): boolean;
  /** The file of an archive. */
  archive(sha256: string): string;
  /** All archives, but for what is being packed. */
  listArchives(): string[];
  /** The apps that have unpacked slugs, by their range of ids. */
  listRanges(): number[];
  removeArchives(archives: string[]): void;
  /** Deletes the other unpacked slugs of an app. */
  keepUnpacked(idRange: number, archives: ReadonlySet<string>): Promise<void>;
}

/** `archives` is the server's own; `unpacked` is passable for the containers' users. */
export function createSlugStore(archives: string, unpacked: string): SlugStore {
  mkdirSync(archives, { recursive: true, mode: 0o700 });
  mkdirSync(unpacked, { recursive: true, mode: 0o711 });
  // Of a server that died while it packed, or took somebody's archive.
  for (const path of [
    ...filesOf(archives).filter((path) => basename(path).startsWith("new-")),
    ...filesOf(unpacked)
      .flatMap(filesOf)
      .filter((path) => basename(path).startsWith(".take-")),
  ])
    void exec(["rm", "-rf", "--", path]);
  const archivePath = (sha256: string) => join(archives, `${sha256}.tgz`);

  /** Packed by this server, and not in its database yet: a sweep at that moment leaves them. */
  const unclaimed = new Set<string>();
  const inTurn = createSerializer();

  async function put(
    parent: string,
    idRange: number,
    { maxBytes = maxSlugBytes, isImage = false }: PutOptions = {},
  ): Promise<PackedSlug> {
    const name = `new-${crypto.randomUUID()}`;
    const temporary = join(archives, name);
    unclaimed.add(name);
    try {
      if (!isImage) await forgetDates(join(parent, "app"), hostUserId(idRange));
      const packed = await pack(parent, temporary, { maxBytes, isImage });
      if (packed.sizeBytes > maxBytes) return packed;
      unclaimed.add(packed.sha256);
      renameSync(temporary, archivePath(packed.sha256));
      syncFolder(archives);
      const target = join(appFolder(unpacked, idRange), packed.sha256);
      if (!existsSync(target)) renameSync(join(parent, "app"), target);
      return packed;
    } finally {
      rmSync(temporary, { force: true });
      unclaimed.delete(name);
    }
  }

  return {
    put,
    async open(sha256, idRange) {
      const target = join(appFolder(unpacked, idRange), sha256);
      return inTurn(target, async () => {
        if (existsSync(target)) return target;
        unclaimed.add(sha256);
        await checkArchive(archivePath(sha256), sha256);
        await unpack(archivePath(sha256), target, idRange);
        return target;
      });
    },
    async take(archive, idRange, expected) {
      const user = hostUserId(idRange);
      const work = join(appFolder(unpacked, idRange), `.take-${crypto.randomUUID()}`);
      mkdirSync(work, { mode: 0o755 });
      giveTo(work, user);
      try {
        const limits = { maxBytes: maxUnpackedBytes, linksMayLeave: true };
        const hash = createHash("sha256");
        await unpackArchive(hashed(archive, hash), { folder: work, userId: user, ...limits });
        const checksum = `SHA256:${hash.digest("hex")}`;
        if (expected !== null && expected.toUpperCase() !== checksum.toUpperCase())
          throw new UnsafeArchive(`its checksum is ${checksum}, not ${expected} as was announced`);
        const names = readdirSync(work);
        if (
          names.length !== 1 ||
          !lstatSync(join(work, "app"), { throwIfNoEntry: false })?.isDirectory()
        )
          throw new UnsafeArchive(
            `all of a slug is below ./app; this one has ${names.join(", ").slice(0, 200) || "nothing"}`,
          );
        return { ...(await put(work, idRange)), checksum };
      } finally {
        await exec(["rm", "-rf", "--", work]);
      }
    },
    claim(sha256) {
      const there = existsSync(archivePath(sha256));
      if (there) unclaimed.add(sha256);
      return there;
    },
    archive: archivePath,
    listArchives: () =>
      readdirSync(archives)
        .filter((name) => name.endsWith(".tgz"))
        .map((name) => name.replace(".tgz", "")),
    listRanges: () => readdirSync(unpacked).map(Number),
    removeArchives(outdated) {
      for (const sha256 of outdated)
        if (!unclaimed.has(sha256)) rmSync(archivePath(sha256), { force: true });
    },
    async keepUnpacked(idRange, kept) {
      for (const sha256 of kept) unclaimed.delete(sha256);
      const folder = join(unpacked, String(idRange));
      for (const name of existsSync(folder) ? readdirSync(folder) : [])
        if (!kept.has(name) && !unclaimed.has(name.slice(0, 64)) && !name.startsWith(".take-"))
          await exec(["rm", "-rf", "--", join(folder, name)]);
    },
  };
}

function filesOf(folder: string): string[] {
  return readdirSync(folder).map((name) => join(folder, name));
}

/** The folder of an app's unpacked slugs: only its own ids (and root) come in. */
function appFolder(unpacked: string, idRange: number): string {
  const folder = join(unpacked, String(idRange));
  if (!existsSync(folder)) {
    mkdirSync(folder, { mode: 0o700 });
    giveTo(folder, hostIdBase(idRange));
  }
  return folder;
}

/** 2020-01-01: the date of all that is younger, so that equal content makes equal archives. */
const newestDate = "@1577836800";

/** On the disk too: what runs is the same now and when it is unpacked again. Older dates are somebody's own. */
async function forgetDates(folder: string, userId: number): Promise<void> {
  const touch = ["touch", "--no-dereference", `--date=${newestDate}`];
  // What is not the app's own keeps its date: that may cost the equality, and nothing else.
  await exec(asUser(userId, ["find", ".", "-newermt", newestDate, "-exec", ...touch, "{}", "+"]), {
    cwd: folder,
  });
}

/** Writes `./app/…` as a compressed tar, hashing on the way; past the limit it only counts. */
async function pack(
  parent: string,
  archive: string,
  { maxBytes, isImage }: { maxBytes: number; isImage: boolean },
): Promise<PackedSlug> {
  const tar = spawn([
    "tar",
    ...["--directory", parent, "--numeric-owner", "--owner=0", "--group=0", "--sort=name"],
    `--use-compress-program=${isImage ? "zstd -q -3 -T0" : "gzip -n -3"}`,
    ...["--create", "--file=-", "./app"],
  ]);
  const problem = new Response(tar.stderr).text();
  const hash = createHash("sha256");
  const file = openSync(archive, "w", 0o600);
  let sizeBytes = 0;
  try {
    for await (const bytes of tar.stdout) {
      sizeBytes += bytes.length;
      if (sizeBytes > maxBytes) continue;
      hash.update(bytes);
      writeSync(file, bytes);
    }
    fsyncSync(file);
  } catch (error) {
    tar.kill();
    throw error;
  } finally {
    closeSync(file);
  }
  if ((await tar.exited) !== 0) throw new Error(`cannot pack the slug: ${(await problem).trim()}`);
  return { sha256: hash.digest("hex"), sizeBytes };
}

async function checkArchive(archive: string, sha256: string): Promise<void> {
  if (!existsSync(archive))
    throw new Error(`the slug ${archive} is gone; deploy again to make a new one`);
  const hash = createHash("sha256");
  for await (const bytes of Bun.file(archive).stream()) hash.update(bytes);
  const actual = hash.digest("hex");
  if (actual !== sha256) throw new ChecksumError(sha256, actual);
}

/** Unpacked with the app's own ids: what an archive tries, it can only do to its own app. */
async function unpack(archive: string, target: string, idRange: number): Promise<void> {
  const user = hostUserId(idRange);
  const temporary = `${target}.new-${crypto.randomUUID()}`;
  mkdirSync(temporary, { mode: 0o755 });
  giveTo(temporary, user);
  chmodSync(temporary, 0o755);
  const tar = spawn(
    asUser(user, [
      "tar",
      ...["--extract", await compressionOf(archive), "--file=-"],
      ...["--strip-components=2", "--no-same-owner"],
    ]),
    { cwd: temporary, stdin: Bun.file(archive), stdout: "ignore", stderr: "pipe" } as never,
  ) as unknown as { stderr: ReadableStream; exited: Promise<number> };
  const problem = new Response(tar.stderr).text();
  if ((await tar.exited) !== 0) {
    await execOk(["rm", "-rf", "--", temporary]);
    throw new Error(`cannot unpack the slug ${archive}: ${(await problem).trim()}`);
  }
  renameSync(temporary, target);
}

/** Told by its first bytes. */
async function compressionOf(archive: string): Promise<string> {
  const [first] = await Bun.file(archive).slice(0, 1).bytes();
  return first === 0x28 ? "--zstd" : "--gzip";
}

/** Makes a rename in a folder survive a power cut. */
function syncFolder(folder: string): void {
  const file = openSync(folder, "r");
  fsyncSync(file);
  closeSync(file);
}
