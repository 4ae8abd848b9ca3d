import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { gunzipSync } from "node:zlib";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import { ensurePrograms } from "./debian-programs.ts";

const programs =
  "cat chmod chown cp cut dd echo env grep head httpd id ln ls mkdir mkfifo mknod mount nc ps sh sleep su tail test touch trap wget".split(
    " ",
  );

/** Writes a gzip tar of the smallest root that a Dockerfile can begin with: Debian's static busybox. */
export async function writeBusyboxRoot(folder: string, archive: string): Promise<void> {
  await ensurePrograms({ busybox: "busybox-static", buildah: "buildah" });
  const busybox = Bun.which("busybox") as string;
  for (const name of ["bin", "etc", "tmp", "root"])
    mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(busybox, join(folder, "bin/busybox"));
  for (const name of programs) symlinkSync("busybox", join(folder, "bin", name));
  writeFileSync(
    join(folder, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\napp:x:4321:4321::/home/app:/bin/sh\n",
  );
  writeFileSync(join(folder, "etc/group"), "root:x:0:\napp:x:4321:\n");
  await execOk(["tar", "--directory", folder, "--owner=0", "--group=0", "-czf", archive, "."]);
}

/** Writes an OCI archive of one layer, as other builders export it (OCI image-spec, image-layout.md). */
export async function writeImageArchive(
  archive: string,
  { root, config }: { root: string; config: object },
): Promise<void> {
  const folder = mkdtempSync(`${archive}-`);
  const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
  const put = (bytes: Uint8Array, mediaType: string) => {
    const hex = digestOf(bytes);
    writeFileSync(join(folder, "blobs/sha256", hex), bytes);
    return {
      mediaType: `application/vnd.oci.image.${mediaType}`,
      digest: `sha256:${hex}`,
      size: bytes.length,
    };
  };
  const putJson = (value: object, mediaType: string) =>
    put(Buffer.from(JSON.stringify(value)), `${mediaType}+json`);
  const layer = readFileSync(root);
  const diff = `sha256:${digestOf(gunzipSync(layer))}`;
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const manifest = putJson(
    {
      schemaVersion: 2,
      config: putJson(
        {
          architecture,
          os: "linux",
          config,
          rootfs: { type: "layers", diff_ids: [diff] },
          history: [{ created_by: "a test" }],
        },
        "config.v1",
      ),
      layers: [put(layer, "layer.v1.tar+gzip")],
    },
    "manifest.v1",
  );
  writeFileSync(
    join(folder, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [manifest] }),
  );
  writeFileSync(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await execOk(["tar", "--directory", folder, "-cf", archive, "."]);
  rmSync(folder, { recursive: true });
}
