import type { DownloadOptions } from "../download.ts";

/** One archive of a runtime, as its vendor announces it. */
export interface RuntimeArchive {
  version: string;
  address: string;
  /** Its SHA-256 in hex; nothing when the vendor does not tell it. */
  checksum: () => Promise<string | undefined>;
  /** So many outer folders the archive has. */
  strip: number;
}

/** Where the runtimes of a language come from: a file here, and a line in vendors.ts. */
export interface Vendor {
  /** What people call it. */
  title: string;
  /** Asked when the operator has not set STATOR_NAME_MIRROR. */
  address: string;
  /** All that is to be had for this machine at an address; `wanted` may save looking at the rest. */
  list(
    address: string,
    wanted: { range: string; architecture: "x64" | "arm64" },
    options: DownloadOptions,
  ): Promise<RuntimeArchive[]>;
}
