import { downloadText, NotFound } from "../download.ts";
import type { RuntimeArchive, Vendor } from "./vendor.ts";

/** One release of a JDK, as Adoptium's index (version 3) describes it. */
interface Release {
  version_data: { major: number; minor: number; security: number; patch?: number; build: number };
  binaries: { package: { link: string; checksum: string; name: string } }[];
}

const pageSize = 20;

/** Temurin, the OpenJDK of Adoptium. Its index is asked for one line of versions (8, 11, 17 …) at a time. */
export const java: Vendor = {
  title: "Java",
  address: "https://api.adoptium.net",
  async list(address, { range, architecture }, options) {
    const line = /\d+/.exec(range)?.[0] ?? "";
    const machine = architecture === "x64" ? "x64" : "aarch64";
    const query = `architecture=${machine}&image_type=jdk&jvm_impl=hotspot&os=linux&vendor=eclipse&page_size=${pageSize}&sort_order=DESC`;
    const found: RuntimeArchive[] = [];
    for (let page = 0; ; page++) {
      const releases = await releasesOf(
        `${address}/v3/assets/feature_releases/${line}/ga?${query}&page=${page}`,
      );
      for (const { version_data, binaries } of releases)
        for (const { package: archive } of binaries)
          if (/^[0-9a-f]{64}$/.test(archive.checksum) && archive.name.endsWith(".tar.gz"))
            found.push({
              ...{ version: versionOf(version_data), address: archive.link },
              ...{ checksum: () => Promise.resolve(archive.checksum), strip: 1 },
            });
      // A line alone wants its newest, which are on the first page.
      if (releases.length < pageSize || range === line) return found;
    }

    /** No page, and a line that does not exist, are both "not found". */
    async function releasesOf(page: string): Promise<Release[]> {
      try {
        return JSON.parse(await downloadText(page, options)) as Release[];
      } catch (error) {
        if (error instanceof NotFound) return [];
        throw error;
      }
    }
  },
};

/** The text that Adoptium gives has words in it for some lines (`21.0.1+12.0.LTS`). */
function versionOf({ major, minor, security, patch, build }: Release["version_data"]): string {
  return `${[major, minor, security, ...(patch ? [patch] : [])].join(".")}+${build}`;
}
