import { downloadText } from "../download.ts";
import type { Vendor } from "./vendor.ts";

interface Release {
  version: string;
  files: { filename: string; os: string; arch: string; kind: string; sha256: string }[];
}

/** Go as its makers publish it: an index in JSON beside the archives. */
export const go: Vendor = {
  title: "Go",
  address: "https://go.dev/dl",
  async list(address, { architecture }, options) {
    const machine = architecture === "x64" ? "amd64" : "arm64";
    const index = await downloadText(`${address}/?mode=json&include=all`, options);
    return (JSON.parse(index) as Release[]).flatMap(({ version, files }) =>
      files
        .filter(({ os, arch, kind }) => os === "linux" && arch === machine && kind === "archive")
        .map(({ filename, sha256 }) => ({
          ...{ version: version.replace(/^go/, ""), strip: 1 },
          checksum: () => Promise.resolve(sha256),
          address: `${address}/${encodeURIComponent(filename)}`,
        })),
    );
  },
};
