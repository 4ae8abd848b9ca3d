import { downloadText } from "../download.ts";
import type { Vendor } from "./vendor.ts";

/** Python as python-build-standalone builds it; each of its releases has all supported versions. */
export const python: Vendor = {
  title: "Python",
  address: "https://github.com/astral-sh/python-build-standalone/releases/latest/download",
  async list(address, { architecture }, options) {
    const machine = architecture === "x64" ? "x86_64" : "aarch64";
    const end = `-${machine}-unknown-linux-gnu-install_only_stripped.tar.gz`;
    const sums = await downloadText(`${address}/SHA256SUMS`, options);
    return sums.split("\n").flatMap((row) => {
      const [sha256 = "", file = ""] = row.trim().split(/\s+\*?/);
      const version = /^cpython-([^+]+)\+\d+/.exec(file)?.[1];
      if (!version || !file.endsWith(end) || !/^[0-9a-f]{64}$/.test(sha256)) return [];
      const checksum = () => Promise.resolve(sha256);
      return [{ version, checksum, strip: 1, address: `${address}/${encodeURIComponent(file)}` }];
    });
  },
};
