import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import { ensurePrograms } from "./debian-programs.ts";
import { testCache } from "./test-cache.ts";

/** What classic buildpacks take for granted in a stack (docs/buildpacks.md). */
const packages = "ca-certificates,curl,file,git,gzip,jq,python3,unzip,xz-utils,zstd";
/** What tells it from this machine. */
export const marker = "/usr/share/stator-marker";

/** A small Debian that is not this machine's, made once (some 90 s); returns its `tar.zst`. */
export async function debianRoot(): Promise<string> {
  const file = join(testCache, "debian-root-3.tar.zst");
  if (existsSync(file)) return file;
  await ensurePrograms({ mmdebstrap: "mmdebstrap" });
  mkdirSync(testCache, { recursive: true });
  const work = join(testCache, `making-${crypto.randomUUID()}.tar.zst`);
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
    const make = ["mmdebstrap", ...argv, suite ?? "stable", work, ...mirrors()];
    // Another file of tests may be making it: it is waited for, and nothing is made a second time.
    const once = `file=$1 work=$2; shift 2; [ -e "$file" ] || { "$@" && mv "$work" "$file"; }`;
    const lock = join(testCache, "debian-root.lock");
    await execOk(["flock", lock, "sh", "-c", once, "sh", file, work, ...make]);
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
