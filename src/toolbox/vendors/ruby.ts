import { downloadText } from "../download.ts";
import type { Vendor } from "./vendor.ts";

interface Release {
  assets: { name: string; digest: string | null; browser_download_url: string }[];
}

/** Ruby as rv-ruby builds it, to run from any folder; each of its releases has all versions. */
export const ruby: Vendor = {
  title: "Ruby",
  address: "https://api.github.com/repos/spinel-coop/rv-ruby",
  async list(address, { architecture }, options) {
    const machine = architecture === "x64" ? "x86_64" : "arm64";
    const index = `${address}/releases/latest`;
    const { assets } = JSON.parse(await downloadText(index, options)) as Release;
    return assets.flatMap(({ name, digest, browser_download_url: path }) => {
      const version = /^ruby-(\d.*?)\.(x86_64|arm64)_linux\.tar\.gz$/.exec(name);
      const sha256 = /^sha256:([0-9a-f]{64})$/.exec(digest ?? "")?.[1];
      if (version?.[1] === undefined || version[2] !== machine || !sha256) return [];
      // A mirror may name its files by where they are beside its index.
      const checksum = () => Promise.resolve(sha256);
      return [{ version: version[1], checksum, strip: 2, address: new URL(path, index).href }];
    });
  },
};
