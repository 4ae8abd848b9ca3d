import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { asUser } from "../lib/as-user.ts";
import { exec, execOk, spawn } from "../lib/exec.ts";
import { giveTo } from "../lib/give-to.ts";
import { createSerializer } from "../lib/lock.ts";
import { hostIdBase, hostUserId } from "../lib/id-range.ts";

/** Heroku's limit for a compressed slug (contract §4.4). */
export const maxSlugBytes = 500 * 1024 * 1024;

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

export interface SlugStore {
  /**
   * Packs the folder `app` inside `parent` into the store and keeps the folder itself as the
   * unpacked slug. A slug above the limit is measured, but not kept.
   */
  put(parent: string, idRange: number): Promise<PackedSlug>;
  /** The unpacked slug of an app, shared read-only by all its dynos; unpacked again when it was swept. */
  open(sha256: string, idRange: number): Promise<string>;
  /** Deletes the archives that nobody keeps, and the unpacked folders that nobody runs. */
  sweep(keep: { archives: Set<string>; unpacked: Set<string> }): Promise<void>;
}

/** `archives` is the server's own; `unpacked` is passable for the containers' users. */
export function createSlugStore(archives: string, unpacked: string): SlugStore {
  mkdirSync(archives, { recursive: true, mode: 0o700 });
  mkdirSync(unpacked, { recursive: true, mode: 0o711 });
  const archivePath = (sha256: string) => join(archives, `${sha256}.tgz`);

  /** Packed by this server, and not in its database yet: a sweep at that moment leaves them. */
  const unclaimed = new Set<string>();
  const inTurn = createSerializer();

  return {
    async put(parent, idRange) {
      const name = `new-${crypto.randomUUID()}`;
      const temporary = join(archives, name);
      unclaimed.add(name);
      try {
        const packed = await pack(parent, temporary);
        if (packed.sizeBytes > maxSlugBytes) return packed;
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
    },
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
    async sweep(keep) {
      for (const sha256 of keep.archives) unclaimed.delete(sha256);
      for (const name of readdirSync(archives)) {
        const sha256 = name.replace(".tgz", "");
        if (!keep.archives.has(sha256) && !unclaimed.has(sha256))
          rmSync(join(archives, name), { force: true });
      }
      for (const range of readdirSync(unpacked))
        for (const sha256 of readdirSync(join(unpacked, range)))
          if (!keep.unpacked.has(`${range}/${sha256}`) && !unclaimed.has(sha256.slice(0, 64)))
            await exec(["rm", "-rf", "--", join(unpacked, range, sha256)]);
    },
  };
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

/** Writes `./app/…` as a gzip tar, hashing on the way; past the limit it only counts. */
async function pack(parent: string, archive: string): Promise<PackedSlug> {
  const tar = spawn([
    "tar",
    ...["--directory", parent, "--numeric-owner", "--owner=0", "--group=0", "--sort=name"],
    ...["--use-compress-program=gzip -3", "--create", "--file=-", "./app"],
  ]);
  const problem = new Response(tar.stderr).text();
  const hash = createHash("sha256");
  const file = openSync(archive, "w", 0o600);
  let sizeBytes = 0;
  try {
    for await (const bytes of tar.stdout) {
      sizeBytes += bytes.length;
      if (sizeBytes > maxSlugBytes) continue;
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
      ...["--extract", "--gzip", "--file=-", "--strip-components=2", "--no-same-owner"],
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

/** Makes a rename in a folder survive a power cut. */
function syncFolder(folder: string): void {
  const file = openSync(folder, "r");
  fsyncSync(file);
  closeSync(file);
}
