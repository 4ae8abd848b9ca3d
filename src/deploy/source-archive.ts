import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, renameSync, rmdirSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { BuildSource } from "../build/build-request.ts";
import { imageArchive } from "../build/image-build.ts";
import type { BuildPrinter } from "../build/output.ts";
import { BuildFailed } from "../build/build-failed.ts";
import { fetchedInside, fetchInside, FetchFailed, openFetched } from "../build/fetch-inside.ts";
import type { Workshop } from "../build/workshop.ts";
import { hashed, UnsafeArchive, unpackArchive } from "../lib/archive.ts";
import { takeSecrets } from "../lib/address-secrets.ts";
import { asUser } from "../lib/as-user.ts";
import { execOk } from "../lib/exec.ts";
import type { SourceBlob } from "../model/build.ts";

/** Heroku's limit for a check-out (contract §4.1). */
const maxSourceBytes = 1024 * 1024 * 1024;
const maxImageArchiveBytes = 2 * 1024 * 1024 * 1024;

export interface ArchiveAddress {
  /** The whole address, with all its secrets. */
  url: string;
  /** The upload that it stands for, if it is one of this platform. */
  open: (() => Blob | undefined) | null;
}

/** The code of a build from a tar archive at an address (contract §4.5). */
export function sourceArchive(address: ArchiveAddress, blob: SourceBlob): BuildSource {
  return {
    version: blob.version,
    async checkOut(workshop, print) {
      const { buildFolder: folder, userId } = workshop;
      const expected = blob.checksum?.replace(/^SHA256:/i, "").toLowerCase();
      try {
        const bytes = await fetchArchive(address, workshop);
        const hash = createHash("sha256");
        await unpackArchive(hashed(bytes, hash), { folder, userId, maxBytes: maxSourceBytes });
        assertChecksum(hash.digest("hex"), expected);
        await liftOnlyFolder(workshop);
      } catch (error) {
        if (!(error instanceof UnsafeArchive || error instanceof FetchFailed)) throw error;
        await refuse(print, `The source archive is refused: ${error.message}.`);
      }
    },
  };
}

/** An image as somebody has exported it: a file, which only the build's own walls take apart. */
export function imageSource(address: ArchiveAddress, blob: SourceBlob): BuildSource {
  return {
    version: blob.version,
    async checkOut(workshop, print) {
      const expected = blob.checksum?.replace(/^SHA256:/i, "").toLowerCase();
      try {
        const hash = createHash("sha256");
        const bytes = hashed(await fetchArchive(address, workshop), hash);
        await writeArchive(join(workshop.buildFolder, imageArchive), bytes);
        assertChecksum(hash.digest("hex"), expected);
      } catch (error) {
        if (!(error instanceof FetchFailed)) throw error;
        await refuse(print, `The image's archive is refused: ${error.message}.`);
      }
    },
  };
}

async function writeArchive(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = openSync(path, "wx", 0o644);
  let size = 0;
  try {
    for await (const chunk of bytes) {
      size += chunk.length;
      if (size > maxImageArchiveBytes) throw new FetchFailed("it is larger than 2 GB");
      writeSync(file, chunk);
    }
  } finally {
    closeSync(file);
  }
}

function assertChecksum(actual: string, expected: string | undefined): void {
  if (expected === undefined || actual === expected) return;
  throw new FetchFailed(
    `its checksum is SHA256:${actual}, not SHA256:${expected} as was announced`,
  );
}

async function refuse(print: BuildPrinter, reason: string): Promise<never> {
  await print.problem(reason);
  await print.line("");
  await print.problem("Push failed");
  throw new BuildFailed("no source");
}

async function fetchArchive(
  { url, open }: ArchiveAddress,
  workshop: Workshop,
): Promise<AsyncIterable<Uint8Array>> {
  if (open) {
    const bytes = open();
    if (bytes) return bytes.stream();
    throw new FetchFailed("nothing was uploaded to its address, or it is too long ago");
  }
  const plain = new URL(url);
  const secrets = takeSecrets(plain);
  await fetchInside(workshop, ["download", plain.href, fetchedInside], secrets);
  return openFetched(workshop);
}

/** Archives of repositories have all their files in one folder. */
async function liftOnlyFolder({ buildFolder, userId }: Workshop): Promise<void> {
  const entries = readdirSync(buildFolder, { withFileTypes: true });
  const [only] = entries;
  if (entries.length !== 1 || !only?.isDirectory()) return;
  const name = basename(buildFolder);
  // The user reaches these folders from where it is put, and by no path.
  await execOk(asUser(userId, ["mv", "--", `./${name}/${only.name}`, `./${name}.lifted`]), {
    cwd: dirname(buildFolder),
  });
  rmdirSync(buildFolder);
  renameSync(`${buildFolder}.lifted`, buildFolder);
}
