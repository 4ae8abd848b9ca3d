import { createReadStream, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { measureLayer } from "../lib/archive.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { readUntrustedFile } from "../lib/untrusted-file.ts";
import { type ImageJob, whileThereIsRoom } from "./image-job.ts";

/** What an image says of how it is run (OCI image-spec, config.md). */
export interface ImageConfig {
  env: Record<string, string>;
  entrypoint: string[];
  cmd: string[];
  /** Empty: the root. */
  workingDir: string;
  user: string;
  /** `8080/tcp`. */
  exposedPorts: string[];
}

/** Of a root without one. */
export const plainConfig: ImageConfig = {
  ...{ env: {}, entrypoint: [], cmd: [], workingDir: "", user: "", exposedPorts: [] },
};

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const descriptor = z.object({ digest, size: z.number().nonnegative(), mediaType: z.string() });
const indexFile = z.object({ manifests: z.array(descriptor).length(1) });
const manifestFile = z.object({ config: descriptor, layers: z.array(descriptor).max(500) });
const configFile = z.object({
  architecture: z.string(),
  os: z.string(),
  config: z
    .object({
      Env: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
      ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
    })
    .nullish(),
});

export interface LayoutImage {
  /** Of its manifest. */
  digest: string;
  config: ImageConfig;
  layers: string[];
}

/** Reads the one image of an OCI layout that `copyImage` has made. */
export function readLayout(layout: string): LayoutImage {
  const index = readJson(join(layout, "index.json"), indexFile);
  const manifest = readJson(blobPath(layout, index.manifests[0]?.digest ?? ""), manifestFile);
  const file = readJson(blobPath(layout, manifest.config.digest), configFile);
  const machine = process.arch === "x64" ? "amd64" : process.arch;
  if (file.os !== "linux" || file.architecture !== machine)
    throw new PlatformError(
      "invalid_params",
      `The image is made for ${file.os}/${file.architecture}; this machine is linux/${machine}.`,
    );
  return {
    digest: index.manifests[0]?.digest ?? "",
    config: imageConfig(file.config ?? {}),
    layers: manifest.layers.map((layer) => layer.digest),
  };
}

function imageConfig(given: NonNullable<z.infer<typeof configFile>["config"]>): ImageConfig {
  const pairs = (given.Env ?? []).map((pair) => {
    const [name = "", ...value] = pair.split("=");
    return [name, value.join("=")] as const;
  });
  return {
    env: Object.fromEntries(pairs),
    entrypoint: given.Entrypoint ?? [],
    cmd: given.Cmd ?? [],
    workingDir: given.WorkingDir ?? "",
    user: given.User ?? "",
    exposedPorts: Object.keys(given.ExposedPorts ?? {}),
  };
}

/** Reads all layers through before anything of them is unpacked; throws UnsafeArchive with what is wrong. */
export async function checkLayers(layout: string, layers: string[], job: ImageJob): Promise<void> {
  let { maxBytes, maxEntries } = job;
  for (const [index, layer] of layers.entries()) {
    job.onProgress(`Checking layer ${index + 1} of ${layers.length}`);
    const bytes = whileThereIsRoom(createReadStream(blobPath(layout, layer)), job);
    const found = await measureLayer(bytes, { maxBytes, maxEntries });
    maxBytes -= found.bytes;
    maxEntries -= found.entries;
  }
}

function blobPath(layout: string, name: string): string {
  const path = join(layout, "blobs", name.replace(":", "/"));
  if (!existsSync(path) || !statSync(path).isFile())
    throw new PlatformError("invalid_params", `The image lacks its part ${name}.`);
  return path;
}

const maxJsonBytes = 4 * 1024 * 1024;

function readJson<T>(path: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(readUntrustedFile(path, maxJsonBytes) ?? ""));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new PlatformError("invalid_params", `This is no image that can be unpacked: ${why}`);
  }
}
