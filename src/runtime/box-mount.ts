import { mkdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { execOk } from "../lib/exec.ts";

/**
 * Shows a folder of the data folder at a place whose parents everybody may pass: a container's user
 * has to reach its files, and the data folder may lie in a home that is closed to others.
 */
export async function mountBox(folder: string, at: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  mkdirSync(at, { recursive: true, mode: 0o711 });
  const place = realpathSync(at);
  if (!isMounted(place)) await execOk(["mount", "--bind", "--make-private", folder, at]);
  // Images, slugs and builds lie here: nothing of them is a device or somebody else for anybody.
  if (!mounts().some(({ path, options }) => path === place && /\bnosuid,nodev\b/.test(options)))
    await execOk(["mount", "-o", "remount,bind,nosuid,nodev", at]);
}

export async function unmountBox(at: string): Promise<void> {
  while (isMounted(at)) await execOk(["umount", "--lazy", at]);
  rmSync(at, { recursive: true, force: true });
}

function isMounted(path: string): boolean {
  return mountPoints().includes(path);
}

/** Where something is mounted, in the order in which it was. */
export function mountPoints(): string[] {
  return mounts().map(({ path }) => path);
}

/** What is mounted where, and how (proc_pid_mountinfo(5)); `source` is a device, if there is one. */
export function mounts(): { path: string; source: string; options: string }[] {
  const rows = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return rows.map((row) => {
    const [before = "", after = ""] = row.split(" - ");
    const [, , , , place = "", options = ""] = before.split(" ");
    const path = place.replace(/\\(\d{3})/g, (_, octal) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return { path, source: after.split(" ")[1] ?? "", options };
  });
}
