import { z } from "zod";
import { downloadText } from "../download.ts";
import type { Vendor } from "./vendor.ts";

const index = z.array(z.object({ version: z.string(), files: z.array(z.string()) }));

/** Node.js as its project releases it: an index of versions, and checksums beside each of them. */
export const node: Vendor = {
  title: "Node.js",
  address: "https://nodejs.org/dist",
  async list(address, { architecture }, options) {
    const platform = `linux-${architecture}`;
    const text = await downloadText(`${address}/index.json`, options);
    return index
      .parse(JSON.parse(text))
      .filter(({ files }) => files.includes(platform))
      .map(({ version: tag }) => {
        const file = `node-${tag}-${platform}.tar.gz`;
        return {
          version: tag.replace(/^v/, ""),
          address: `${address}/${tag}/${file}`,
          strip: 1,
          async checksum() {
            const sums = await downloadText(`${address}/${tag}/SHASUMS256.txt`, options);
            const rows = sums.split("\n").map((row) => row.trim().split(/\s+\*?/));
            return rows.find(([, name]) => name === file)?.[0];
          },
        };
      });
  },
};
