import type { Hash } from "node:crypto";
import { once } from "node:events";
import { posix } from "node:path";
import { pipeline, Readable, type Writable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { extract, type Header, pack, type Pack } from "tar-stream";
import { asUser } from "./as-user.ts";
import { spawn } from "./exec.ts";
import { PlatformError } from "./platform-error.ts";

/** An archive has something in it that is not unpacked; its message names it. Nothing of it may be used. */
export class UnsafeArchive extends Error {
  override readonly name = "UnsafeArchive";
}

export interface UnpackOptions {
  /** An empty folder. */
  folder: string;
  /** Whose files they become: what an archive tries, it can only do with this user's rights. */
  userId: number;
  /** So many outer folders are left off. */
  strip?: number;
  /** Whether symbolic links may point out of the folder, as in slugs (`/app/…`); nothing is ever written through one. */
  linksMayLeave?: boolean;
  /** A folder of the archive whose content is passed over, whatever it is: `dev`. */
  leftOut?: string;
  maxBytes: number;
  maxEntries?: number;
}

/**
 * Unpacks a tar (plain, gzip or zstd) that anybody may have made. It is read here, and only what is
 * understood is written anew for the machine's own tar: two readers cannot understand it differently.
 */
export async function unpackArchive(
  source: AsyncIterable<Uint8Array>,
  options: UnpackOptions,
): Promise<void> {
  const { folder, userId, maxBytes } = options;
  const tar = spawn<"pipe", "ignore", "pipe">(
    asUser(userId, ["tar", "--extract", "--file=-", "--no-same-owner", "--preserve-permissions"]),
    { cwd: folder, stdin: "pipe", stdout: "ignore", stderr: "pipe" },
  );
  const problem = new Response(tar.stderr).text();
  const clean = pack();
  const fed = feed(clean, tar.stdin);
  try {
    await rewrite(counted(await decompressed(source), maxBytes * 1.2), clean, options);
    clean.finalize();
    await fed;
  } catch (error) {
    clean.destroy();
    tar.kill();
    throw error;
  } finally {
    await tar.exited;
  }
  if (tar.exitCode !== 0) throw new Error(`cannot unpack the archive: ${(await problem).trim()}`);
}

/**
 * Reads through a layer of an image, which another program is going to unpack over those below it: a link may
 * lead anywhere and a hard link into another layer, but no name, and no device (but in /dev), which is none anyway.
 * Returns what is in it; throws UnsafeArchive.
 */
export async function measureLayer(
  source: AsyncIterable<Uint8Array>,
  { maxBytes, maxEntries }: { maxBytes: number; maxEntries: number },
): Promise<{ bytes: number; entries: number }> {
  const found = { bytes: 0, entries: 0 };
  await readEntries(counted(await decompressed(source), maxBytes * 1.2), async (entry) => {
    const { header } = entry;
    const refuse = refusal(header);
    const path = placeOf(header.name, 0, refuse);
    if (header.type === "link") placeOf(header.linkname, 0, refuse);
    if (/^\.wh\.\.{0,2}$/.test(posix.basename(path))) throw refuse("takes away its own folder");
    if (isSparse(header)) throw refuse("is a sparse file");
    const type = header.type as Header["type"] | null;
    if (!type) throw refuse("is of a kind that is not unpacked");
    if (path === "" && type !== "directory") throw refuse("has no name");
    if (/device|fifo/.test(type) && !path.startsWith("dev/")) throw refuse(`is a ${type}`);
    found.bytes += header.size;
    if (found.bytes > maxBytes)
      throw refuse(`makes it more than ${mebibytes(maxBytes)} MB unpacked`);
    if (++found.entries > maxEntries)
      throw refuse(`is one more than the ${maxEntries} files allowed`);
    for await (const _ of entry);
  });
  return found;
}

/** Passes bytes on and into a hash. */
export async function* hashed(
  bytes: AsyncIterable<Uint8Array>,
  hash: Hash,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
}

/** Passes on, under clean names, what `checker` lets through. */
async function rewrite(
  bytes: AsyncIterable<Uint8Array>,
  clean: Pack,
  options: UnpackOptions,
): Promise<void> {
  const check = archiveChecker(options);
  await readEntries(bytes, async (entry) => {
    const header = check(entry.header);
    if (!header) return void entry.resume();
    const written = Promise.withResolvers<void>();
    // When the reading fails, what is half written fails too, and the first is told.
    written.promise.catch(() => {});
    const target = clean.entry(header, (error) => {
      if (error) written.reject(error);
      else written.resolve();
    });
    if (header.type === "file" && target) {
      for await (const chunk of entry as AsyncIterable<Uint8Array>)
        if (!target.write(chunk)) await once(target, "drain");
      target.end(null);
    } else entry.resume();
    await written.promise;
  });
}

type Entry = AsyncIterable<Uint8Array> & { header: Header; resume(): unknown };

/** Hands out the entries one by one; what is no whole archive is an UnsafeArchive. */
async function readEntries(
  bytes: AsyncIterable<Uint8Array>,
  take: (entry: Entry) => Promise<void>,
): Promise<void> {
  const reader = extract();
  pipeline(Readable.from(bytes), reader as unknown as Writable, () => {});
  try {
    for await (const entry of reader) await take(entry as unknown as Entry);
  } catch (error) {
    if (error instanceof UnsafeArchive || error instanceof PlatformError) throw error;
    throw new UnsafeArchive(`it is not a whole tar archive (${(error as Error).message})`);
  }
}

/** What is passed on of an entry. */
type CleanHeader = Pick<Header, "name" | "mode" | "mtime" | "type"> & Partial<Header>;

/** Decides on the entries of one archive in their order; throws UnsafeArchive. Pure but for its memory. */
function archiveChecker({
  strip = 0,
  linksMayLeave = false,
  leftOut,
  maxBytes,
  maxEntries = 500_000,
}: Pick<UnpackOptions, "strip" | "linksMayLeave" | "leftOut" | "maxBytes" | "maxEntries">): (
  header: Header,
) => CleanHeader | undefined {
  const seen = new Map<string, "file" | "directory" | "symlink">();
  let bytes = 0;
  let entries = 0;
  return (header) => {
    const refuse = refusal(header);
    const path = placeOf(header.name, strip, refuse);
    if (++entries > maxEntries) throw refuse(`is one more than the ${maxEntries} files allowed`);
    if (leftOut !== undefined && path.startsWith(`${leftOut}/`)) return undefined;
    bytes += header.size;
    if (bytes > maxBytes) throw refuse(`makes it more than ${mebibytes(maxBytes)} MB unpacked`);
    if (isSparse(header)) throw refuse("is a sparse file");
    // What the reader does not know has none.
    const type = (header.type as Header["type"] | null)?.replace("contiguous-file", "file") as
      Exclude<Header["type"], "contiguous-file"> | undefined;
    if (!type) throw refuse("is of a kind that is not unpacked");
    if (path === "") {
      if (type === "directory" || strip > 0) return undefined;
      throw refuse("has no name");
    }
    for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1))
      if (seen.get(path.slice(0, end)) === "symlink")
        throw refuse("would be written through a link of the same archive");
    const before = seen.get(path);
    if (before !== undefined && (before === "symlink" || type === "symlink"))
      throw refuse("is there twice, once as a link");
    const common = { name: path, mode: safeMode(header), mtime: header.mtime };
    switch (type) {
      case "file":
        seen.set(path, "file");
        return { ...common, type, size: header.size };
      case "directory":
        seen.set(path, "directory");
        return { ...common, type };
      case "symlink": {
        const target = header.linkname;
        if (target === "") throw refuse("is a link to nothing");
        if (!linksMayLeave && leaves(path, target))
          throw refuse(`is a link that leads out of the archive, to ${JSON.stringify(target)}`);
        seen.set(path, "symlink");
        return { ...common, type, linkname: target };
      }
      case "link": {
        const target = placeOf(header.linkname, strip, refuse);
        if (seen.get(target) !== "file")
          throw refuse(`is a hard link to ${JSON.stringify(target)}, no file of the archive`);
        seen.set(path, "file");
        return { ...common, type, linkname: target };
      }
      case "block-device":
      case "character-device":
      case "fifo":
        throw refuse(`is a ${type}`);
    }
  };
}

/** Its size says nothing then: a few bytes become as many zeros as it likes. */
function isSparse({ pax }: Header): boolean {
  return Object.keys(pax ?? {}).some((key) => key.startsWith("GNU.sparse"));
}

function refusal({ name }: Header): (why: string) => UnsafeArchive {
  return (why) => new UnsafeArchive(`${JSON.stringify(name.slice(0, 200))} ${why}`);
}

/** The path inside the folder, without `.` and the stripped folders. */
function placeOf(name: string, strip: number, refuse: (why: string) => UnsafeArchive): string {
  if (name.includes("\0") || name.includes("\uFFFD"))
    throw refuse("has a name that is not UTF-8 text");
  if (name.startsWith("/")) throw refuse("has an absolute name");
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refuse("leads out of its folder by `..`");
  return parts.slice(strip).join("/");
}

function leaves(path: string, target: string): boolean {
  if (target.startsWith("/")) return true;
  const end = posix.normalize(posix.join(posix.dirname(path), target));
  return end === ".." || end.startsWith("../");
}

/** No special bits, and always readable and removable by its owner. */
function safeMode({ mode, type }: Header): number {
  return (mode & 0o777) | (type === "directory" ? 0o700 : 0o600);
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / 1024 / 1024);
}

/** What a small archive grows to is counted while it grows. */
async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let count = 0;
  for await (const chunk of bytes) {
    count += chunk.length;
    if (count > maxBytes)
      throw new UnsafeArchive(`it grows to more than ${mebibytes(maxBytes)} MB`);
    yield chunk;
  }
}

const gzipMagic = [0x1f, 0x8b];
const zstdMagic = [0x28, 0xb5, 0x2f, 0xfd];

async function decompressed(source: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let ended = false;
  while (head.length < 4 && !ended) {
    const next = await iterator.next();
    if (next.done) ended = true;
    else head = Buffer.concat([head, next.value]);
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield head;
    for (let next = await iterator.next(); !next.done; next = await iterator.next())
      yield next.value;
  }
  const begins = (magic: number[]) => magic.every((byte, index) => head[index] === byte);
  const unpacker = begins(gzipMagic)
    ? createGunzip()
    : begins(zstdMagic)
      ? createZstdDecompress()
      : undefined;
  if (!unpacker) return whole();
  // The error of one stream ends the other; the reader of the second hears of it.
  pipeline(Readable.from(whole()), unpacker as unknown as Writable & Readable, () => {});
  return unpacker as AsyncIterable<Uint8Array>;
}

async function feed(clean: Pack, stdin: Bun.FileSink): Promise<void> {
  try {
    for await (const chunk of clean as AsyncIterable<Uint8Array>) {
      await stdin.write(chunk);
      await stdin.flush();
    }
    await stdin.end();
  } catch {
    // Tar has gone, or we have given up: its exit status, or what was thrown, tells.
  }
}
