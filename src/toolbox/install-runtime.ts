import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

/** Puts the newest runtime of a range into a folder: from the cache, or downloaded and verified. */
export async function installRuntime(request: InstallRequest): Promise<string> {
  const { cacheDir, into, say, vendor } = request;
  mkdirSync(cacheDir, { recursive: true });
  const archive = await chooseArchive(request);
  const path = join(cacheDir, archive.sha256);
  if (existsSync(path) && (await sha256Of(path)) === archive.sha256)
    say.line(`Using ${vendor.title} ${archive.version} from the cache (SHA-256 verified)`);
  else {
    say.line(`Downloading ${vendor.title} ${archive.version}`);
    await fetchArchive(path, archive, request);
    say.line(`SHA-256 ${archive.sha256} verified`);
  }
  remember(cacheDir, archive);
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  await unpackArchive(Bun.file(path).stream() as unknown as AsyncIterable<Uint8Array>, {
    ...{ folder: into, userId: process.getuid?.() ?? 0, strip: archive.strip },
    maxBytes: maxRuntimeBytes,
  });
  return archive.version;
}

/** What the vendor has now; what the cache has when nobody answers. */
async function chooseArchive(request: InstallRequest): Promise<RuntimeArchive> {
  const { vendor, address, range, cacheDir, say } = request;
  const architecture = process.arch === "arm64" ? "arm64" : "x64";
  let offered: RuntimeArchive[];
  try {
    offered = await vendor.list(address, { range, architecture }, say);
  } catch (error) {
    const cached = newestInRange(recorded(cacheDir), range);
    const reason = `The list of ${vendor.title} versions can't be read (${(error as Error).message})`;
    if (!cached) throw new ToolFailure(`${reason}.\n${wayOut(vendor)}`, { cause: error });
    say.warn(`${reason}: using the cache.`);
    return cached;
  }
  const found = newestInRange(offered, range);
  if (found) return found;
  const lines = [...new Set(offered.map(({ version }) => /^\d+\.\d+/.exec(version)?.[0]))];
  throw new ToolFailure(
    `No ${vendor.title} for linux-${architecture} is in the range "${range}". There are: ${lines.join(", ") || "none"}.`,
  );
}

async function fetchArchive(
  path: string,
  { address, sha256, version }: RuntimeArchive,
  { vendor, say }: InstallRequest,
): Promise<void> {
  try {
    await download(address, { path, sha256 }, { ...say, maxBytes: maxRuntimeBytes });
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
  return `Try again later. An operator without access to it can set STATOR_${title.toUpperCase()}_MIRROR, or install ${title} on the machine.`;
}

/** One runtime is kept for each cache: the one that was used last. */
function remember(cacheDir: string, archive: RuntimeArchive): void {
  for (const name of readdirSync(cacheDir))
    if (name !== archive.sha256) rmSync(join(cacheDir, name), { recursive: true, force: true });
  writeFileSync(join(cacheDir, "archive.json"), JSON.stringify(archive));
}

function recorded(cacheDir: string): RuntimeArchive[] {
  try {
    const text = readFileSync(join(cacheDir, "archive.json"), "utf8");
    return [JSON.parse(text) as RuntimeArchive];
  } catch {
    return [];
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of Bun.file(path).stream()) hash.update(bytes);
  return hash.digest("hex");
}
