import { downloadText } from "../download.ts";
import type { Vendor } from "./vendor.ts";

interface Package {
  java_version: number[];
  openjdk_build_number?: number;
  download_url: string;
  sha256_hash: string;
}

/** Zulu, the OpenJDK of Azul: what `zulu-17` in system.properties asks for. */
export const zulu: Vendor = {
  title: "Zulu",
  address: "https://api.azul.com/metadata/v1/zulu/packages",
  async list(address, { range, architecture }, options) {
    const line = /\d+/.exec(range)?.[0] ?? "";
    const machine = architecture === "x64" ? "x64" : "aarch64";
    const query = `java_version=${line}&os=linux-glibc&arch=${machine}&archive_type=tar.gz&java_package_type=jdk&javafx_bundled=false&crac_supported=false&release_status=ga&availability_types=ca&include_fields=sha256_hash,openjdk_build_number&page_size=1000`;
    const packages = JSON.parse(await downloadText(`${address}?${query}`, options)) as Package[];
    return packages
      .filter(({ sha256_hash }) => /^[0-9a-f]{64}$/.test(sha256_hash))
      .map(({ java_version, openjdk_build_number = 0, download_url, sha256_hash }) => ({
        version: `${java_version.join(".")}+${openjdk_build_number}`,
        ...{ address: download_url, checksum: () => Promise.resolve(sha256_hash), strip: 1 },
      }));
  },
};
