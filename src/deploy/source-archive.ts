import { createHash } from "node:crypto";
import { readdirSync, renameSync, rmdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { BuildSource } from "../build/build.ts";
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
        const actual = hash.digest("hex");
        if (expected !== undefined && actual !== expected)
          throw new FetchFailed(
            `its checksum is SHA256:${actual}, not SHA256:${expected} as was announced`,
          );
        await liftOnlyFolder(workshop);
      } catch (error) {
        if (!(error instanceof UnsafeArchive || error instanceof FetchFailed)) throw error;
        await print.problem(`The source archive is refused: ${error.message}.`);
        await print.line("");
        await print.problem("Push failed");
        throw new BuildFailed("no source");
      }
    },
  };
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
