import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unpackArchive } from "../lib/archive.ts";
import { download, type DownloadOptions, NotFound } from "./download.ts";
import { ToolFailure } from "./tool-failure.ts";
import type { RuntimeArchive, Vendor } from "./vendors/vendor.ts";
import { newestInRange } from "./version-range.ts";

const maxRuntimeBytes = 4 * 1024 * 1024 * 1024;

export interface InstallRequest {
  vendor: Vendor;
  /** The operator's mirror, or the vendor's own address. */
  address: string;
  range: string;
  /** Archives of earlier builds, with what was verified of them. */
  cacheDir: string;
  into: string;
  say: DownloadOptions & { line: (text: string) => void };
}

/** An archive that an earlier build has left, as `archive.json` beside it says. */
interface CachedArchive {
  version: string;
  sha256: string;
  strip: number;
}

/** Puts the newest runtime of a range into a folder: from the cache, or downloaded and verified. */
export async function installRuntime(request: InstallRequest): Promise<string> {
  const { cacheDir, into } = request;
  mkdirSync(cacheDir, { recursive: true });
  const archive = await provideArchive(request);
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  const file = Bun.file(join(cacheDir, archive.sha256));
  await unpackArchive(file.stream() as unknown as AsyncIterable<Uint8Array>, {
    ...{ folder: into, userId: process.getuid?.() ?? 0, strip: archive.strip },
    maxBytes: maxRuntimeBytes,
    // It is what its vendor has announced, and some of them link to the machine's own files.
    linksMayLeave: true,
  });
  return archive.version;
}

/** All that a vendor has for this machine. */
export function listRuntimes(
  { vendor, address, say }: Pick<InstallRequest, "vendor" | "address" | "say">,
  range: string,
): Promise<RuntimeArchive[]> {
  return vendor.list(address, { range, architecture }, say);
}

const architecture = process.arch === "arm64" ? "arm64" : "x64";

/** What the vendor has now; what the cache has when nobody answers. */
async function provideArchive(request: InstallRequest): Promise<CachedArchive> {
  const { vendor, range, cacheDir, say } = request;
  const cached = await readCache(cacheDir);
  let offered: RuntimeArchive[];
  try {
    offered = await listRuntimes(request, range);
  } catch (error) {
    const reason = `The list of ${vendor.title} versions can't be read (${(error as Error).message})`;
    const usable = cached && newestInRange([cached], range);
    if (!usable) throw new ToolFailure(`${reason}.\n${wayOut(vendor)}`, { cause: error });
    say.warn(`${reason}: using the cache.`);
    return usable;
  }
  const chosen = newestInRange(offered, range);
  if (!chosen) throw noneInRange(request, offered);
  if (cached?.version === chosen.version) {
    say.line(`Using ${vendor.title} ${chosen.version} from the cache (SHA-256 verified).`);
    return cached;
  }
  return fetchArchive(chosen, request);
}

function noneInRange({ vendor, range }: InstallRequest, offered: RuntimeArchive[]): ToolFailure {
  const lines = [...new Set(offered.map(({ version }) => /^\d+\.\d+/.exec(version)?.[0]))];
  return new ToolFailure(
    `No version of ${vendor.title} for linux-${architecture} is in the range "${range}". There are: ${lines.join(", ") || "none"}.`,
  );
}

async function fetchArchive(
  { address, version, strip, checksum }: RuntimeArchive,
  { vendor, say, cacheDir }: InstallRequest,
): Promise<CachedArchive> {
  try {
    const sha256 = await checksum();
    if (sha256 === undefined) throw new NotFound(`there is no checksum of ${address}`);
    say.line(`Downloading ${address}`);
    const path = join(cacheDir, sha256);
    await download(address, { path, sha256 }, { ...say, maxBytes: maxRuntimeBytes });
    say.line(`SHA-256 ${sha256} verified.`);
    remember(cacheDir, { version, sha256, strip });
    return { version, sha256, strip };
  } catch (error) {
    if (error instanceof ToolFailure) throw error;
    const reason = (error as Error).message;
    throw new ToolFailure(
      `${vendor.title} ${version} can't be downloaded: ${reason}.\n${error instanceof NotFound ? "Its vendor lists it, but does not have it." : wayOut(vendor)}`,
      { cause: error },
    );
  }
}

function wayOut({ title }: Vendor): string {
  const setting = `STATOR_${title.replace(/\W.*/, "").toUpperCase()}_MIRROR`;
  return `Try again later. An operator without access to it can set ${setting}, or install ${title} on the machine.`;
}

/** One runtime is kept in each cache: the one that was fetched last. */
function remember(cacheDir: string, archive: CachedArchive): void {
  for (const name of readdirSync(cacheDir))
    if (name !== archive.sha256) rmSync(join(cacheDir, name), { recursive: true, force: true });
  writeFileSync(join(cacheDir, "archive.json"), JSON.stringify(archive));
}

/** The archive of the cache, if it still is what was verified. */
async function readCache(cacheDir: string): Promise<CachedArchive | undefined> {
  const record = Bun.file(join(cacheDir, "archive.json"));
  if (!(await record.exists())) return undefined;
  const archive = (await record.json().catch(() => undefined)) as CachedArchive | undefined;
  if (!archive || !/^[0-9a-f]{64}$/.test(archive.sha256)) return undefined;
  const path = join(cacheDir, archive.sha256);
  return existsSync(path) && (await sha256Of(path)) === archive.sha256 ? archive : undefined;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of Bun.file(path).stream()) hash.update(bytes);
  return hash.digest("hex");
}
