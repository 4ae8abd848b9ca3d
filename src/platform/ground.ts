import { createHash } from "node:crypto";
import { statfsSync } from "node:fs";
import { join } from "node:path";
import { hostStack } from "../build/stack.ts";
import { openStacks, type Stacks } from "../deploy/stacks.ts";
import { createImageStore } from "../image/image-store.ts";
import { createLogs } from "../logs/log-store.ts";
import type { Logs } from "../logs/logs.ts";
import { containerStack } from "../model/app.ts";
import { type Database, openDatabase } from "../model/database.ts";
import { hostStackName } from "../model/stack.ts";
import { openVault, type Vault } from "../model/vault.ts";
import { type HostRuntime, openRuntime } from "../runtime/open-runtime.ts";
import type { ServerSettings } from "../settings/server-settings.ts";
import { createSlugStore, type SlugStore } from "../slug/slug-store.ts";

/** What all parts of the platform stand on: the data folder, opened, and the machine. */
export interface Ground {
  dataDir: string;
  host: HostRuntime;
  database: Database;
  vault: Vault;
  logs: Logs;
  slugs: SlugStore;
  /** What apps are built for and run on. */
  stacks: Stacks;
  /** What the machine's own software is called in `STACK`. */
  announced: string;
  /** How this program is started again: its path, and its script while it is not compiled. */
  program: [string, ...string[]];
  /** What is left on the data folder's disk. */
  freeDiskBytes(this: void): number;
}

export const mebibyte = 1024 * 1024;

export async function openGround(
  settings: ServerSettings,
  program: [string, ...string[]],
): Promise<Ground> {
  const { dataDir } = settings;
  const host = await openRuntime(settings.runtime, {
    dataDir,
    instance: instanceOf(dataDir),
    program,
    dynoDiskBytes: settings.dynoDiskBytes,
    dynoDiskBytesPerSecond: settings.dynoDiskBytesPerSecond,
  });
  const database = openDatabase(join(dataDir, "stator.db"));
  const vault = openVault(join(dataDir, "key"));
  const logs = createLogs({ dir: join(dataDir, "logs"), bounds: settings.logs });
  const slugs = createSlugStore(join(dataDir, "slugs"), join(host.box, "slugs"));
  const freeDiskBytes = () => freeBytes(dataDir);
  const announced = await hostStack();
  const images = createImageStore({
    folder: join(host.box, "images"),
    environment: registryEnvironment(settings.buildEnvironment),
    freeDiskBytes,
    minFreeDiskBytes: 1024 * mebibyte,
  });
  const hasImages = settings.runtime === "oci";
  const stacks = openStacks({
    ...{ database, logs, images, runtime: host.runtime, hostStack: announced },
    builtIn: hasImages ? [hostStackName, containerStack] : [hostStackName],
    refusal: hasImages
      ? null
      : "This server runs plain processes, on the machine's own software; images need --runtime oci.",
  });
  return {
    ...{ dataDir, host, database, vault, logs, slugs, stacks, announced, program },
    freeDiskBytes,
  };
}

/** What the tool that asks registries has of the operator's settings for builds: the way out. */
function registryEnvironment(ofBuilds: Record<string, string>): Record<string, string> {
  const proxies = Object.entries(ofBuilds).filter(([name]) => /^\w+_proxy$/i.test(name));
  const bundle = ofBuilds["STATOR_BUILD_CA_BUNDLE"];
  return { ...Object.fromEntries(proxies), ...(bundle && { SSL_CERT_FILE: bundle }) };
}

/** Four hex digits that tell the things of one data folder from another's. */
function instanceOf(dataDir: string): string {
  return createHash("sha256").update(dataDir).digest("hex").slice(0, 4);
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
