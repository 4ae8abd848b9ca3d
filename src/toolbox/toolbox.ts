import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { UnsafeArchive, unpackArchive } from "../lib/archive.ts";
import type { ToolboxSettings } from "../settings/toolbox-settings.ts";
import { download } from "./download.ts";
import { archiveCommit, resolveRef } from "./git-archive.ts";
import { installRuntime, listRuntimes } from "./install-runtime.ts";
import { ToolFailure } from "./tool-failure.ts";
import { javaTruststore } from "./truststore.ts";
import { isInRange } from "./version-range.ts";
import type { Vendor } from "./vendors/vendor.ts";
import { vendors } from "./vendors/vendors.ts";

/** What a tool answers goes to standard output; what it says on the way to standard error, as builds say it. */
const say = {
  line: (text: string) => void process.stderr.write(`       ${text}\n`),
  warn: (text: string) => void process.stderr.write(text.replaceAll(/^/gm, " !     ") + "\n"),
};

const maxDownloadBytes = 2 * 1024 * 1024 * 1024;

type Tool = (args: string[], settings: ToolboxSettings) => Promise<number> | number;

const tools: Record<string, Tool> = {
  /** `satisfies VERSION RANGE`: status 0 or 1. */
  satisfies: ([version = "", range = ""]) => (isInRange(version, range) ? 0 : 1),

  /** `versions NAME`: prints all that are to be had, a line each. */
  async versions([name = ""], { mirror }) {
    const vendor = vendorOf(name);
    const address = mirror(name) ?? vendor.address;
    const archives = await listRuntimes({ vendor, address, say }, "*");
    process.stdout.write(archives.map(({ version }) => `${version}\n`).join(""));
    return 0;
  },

  /** `runtime NAME RANGE --cache DIR --into DIR`: prints the version that is now in the folder. */
  async runtime(args, { mirror }) {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: { cache: { type: "string" }, into: { type: "string" } },
    });
    const [name = "", range = "*"] = positionals;
    const vendor = vendorOf(name);
    if (!values.cache || !values.into)
      throw new ToolFailure("Usage: stator toolbox runtime NAME RANGE --cache DIR --into DIR");
    const version = await installRuntime({
      ...{ vendor, range, say, address: mirror(name) ?? vendor.address },
      ...{ cacheDir: values.cache, into: values.into },
    });
    process.stdout.write(`${version}\n`);
    return 0;
  },

  /** `download ADDRESS FILE [SHA256]`: prints the file's SHA-256. */
  async download([address = "", path = "", sha256], { credentials, query }) {
    const to = { path, ...(sha256 && { sha256 }) };
    const maxBytes = maxDownloadBytes;
    const said = await download(address, to, { ...say, credentials, query, maxBytes });
    process.stdout.write(`${said}\n`);
    return 0;
  },

  /** `git-resolve URL [REF]`: prints the commit. */
  async "git-resolve"([url = "", ref = ""], { credentials, network }) {
    const commit = await resolveRef(url, ref, { credentials, environment: network });
    process.stdout.write(`${commit}\n`);
    return 0;
  },

  /** `git-archive URL COMMIT FILE`: writes the commit's files as a tar. */
  async "git-archive"([url = "", commit = "", path = ""], { credentials, network }) {
    await archiveCommit(url, { commit, path }, { credentials, environment: network });
    return 0;
  },

  /** `unpack FILE FOLDER [STRIP]` */
  async unpack([path = "", folder = "", strip = "0"]) {
    mkdirSync(folder, { recursive: true });
    await unpackArchive(Bun.file(path).stream() as unknown as AsyncIterable<Uint8Array>, {
      ...{ folder, userId: process.getuid?.() ?? 0, strip: Number(strip) },
      maxBytes: 4 * 1024 * 1024 * 1024,
    });
    return 0;
  },

  /** `truststore BUNDLE FILE`: the certificates of a PEM bundle as Java reads them. */
  truststore([bundle = "", path = ""]) {
    writeFileSync(path, javaTruststore(readFileSync(bundle, "utf8")));
    return 0;
  },
};

function vendorOf(name: string): Vendor {
  const vendor = Object.hasOwn(vendors, name) ? vendors[name] : undefined;
  if (vendor) return vendor;
  throw new ToolFailure(`No runtime is called ${name}: ${Object.keys(vendors).join(", ")} are.`);
}

/** `stator toolbox TOOL …`: what the bash of buildpacks calls inside a build. Returns the exit status. */
export async function runToolbox(
  [name = "", ...args]: string[],
  settings: ToolboxSettings,
): Promise<number> {
  const tool = Object.hasOwn(tools, name) ? tools[name] : undefined;
  if (!tool) {
    say.warn(`stator toolbox has no ${name}: it has ${Object.keys(tools).join(", ")}.`);
    return 2;
  }
  try {
    return await tool(args, settings);
  } catch (error) {
    if (error instanceof UnsafeArchive) say.warn(`The archive is not unpacked: ${error.message}.`);
    else if (error instanceof ToolFailure || error instanceof Error) say.warn(error.message);
    else throw error;
    return 1;
  }
}
