import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type TarEntry, tarOf } from "./tar-of.ts";

export interface OciImage {
  layers: TarEntry[][];
  config?: Record<string, unknown>;
  architecture?: string;
  tag?: string;
  /** What becomes of each layer before its digest is taken. */
  compress?: (tar: Buffer) => Buffer;
  layerType?: string;
}

/** Writes an OCI image layout into a new folder, as other people's tools do; returns the digests of its manifest and layers. */
export async function writeOciImage(
  folder: string,
  image: OciImage,
): Promise<{ digest: string; layers: string[] }> {
  const { layers, config = {}, compress = (tar: Buffer) => gzipSync(tar) } = image;
  const { layerType = "application/vnd.oci.image.layer.v1.tar+gzip" } = image;
  const architecture = image.architecture ?? (process.arch === "x64" ? "amd64" : process.arch);
  const blobs = join(folder, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  const put = (mediaType: string, bytes: Buffer) => {
    const sum = sha256(bytes);
    writeFileSync(join(blobs, sum), bytes);
    return { mediaType, digest: `sha256:${sum}`, size: bytes.length };
  };
  const json = (mediaType: string, value: object) =>
    put(mediaType, Buffer.from(JSON.stringify(value)));
  const tars = await Promise.all(layers.map((entries) => tarOf(entries)));
  const kind = "application/vnd.oci.image";
  const described = json(`${kind}.config.v1+json`, {
    ...{ architecture, os: "linux", config },
    rootfs: { type: "layers", diff_ids: tars.map((tar) => `sha256:${sha256(tar)}`) },
  });
  const layered = tars.map((tar) => put(layerType, compress(tar)));
  const manifest = json(`${kind}.manifest.v1+json`, {
    ...{ schemaVersion: 2, mediaType: `${kind}.manifest.v1+json`, config: described },
    layers: layered,
  });
  const annotations = { "org.opencontainers.image.ref.name": image.tag ?? "latest" };
  writeFileSync(join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(folder, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  return { digest: manifest.digest, layers: layered.map(({ digest }) => digest) };
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
