import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import { ensurePrograms } from "./debian-programs.ts";
import { repositoryRoot } from "./stator-server.ts";

/** What classic buildpacks take for granted in a stack (docs/buildpacks.md). */
const packages = "ca-certificates,curl,file,git,gzip,jq,python3,unzip,xz-utils,zstd";
/** What tells it from this machine. */
export const marker = "/usr/share/stator-marker";

/** A small Debian that is not this machine's, made once (some 90 s); returns its `tar.zst`. */
export async function debianRoot(): Promise<string> {
  const cache = join(repositoryRoot, "node_modules/.cache/stator-tests");
  const file = join(cache, "debian-root-3.tar.zst");
  if (existsSync(file)) return file;
  await ensurePrograms({ mmdebstrap: "mmdebstrap" });
  mkdirSync(cache, { recursive: true });
  const work = join(cache, `making-${crypto.randomUUID()}.tar.zst`);
  try {
    const steps = [
      `echo image > "$1${marker}"`,
      `echo 'PRETTY_NAME="Debian of an image"' > "$1/usr/lib/os-release"`,
    ].map((step) => `--customize-hook=${step}`);
    const left = ["doc", "locale", "man", "zoneinfo"].map(
      (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
    );
    const argv = [
      "--quiet",
      ...left,
      "--variant=minbase",
      `--include=${packages}`,
      ...steps,
    ] as const;
    // The suite and the mirrors that this machine has.
    const suite = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
    await execOk(["mmdebstrap", ...argv, suite ?? "stable", work, ...mirrors()]);
    renameSync(work, file);
  } finally {
    rmSync(work, { force: true });
  }
  return file;
}

function mirrors(): string[] {
  const folder = "/etc/apt/sources.list.d";
  const files = ["/etc/apt/sources.list", ...readdirSync(folder).map((name) => join(folder, name))];
  return files.filter(
    (path) => existsSync(path) && /debian\.org|Debian|deb /.test(readFileSync(path, "utf8")),
  );
}
