import { chmodSync, lstatSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execOk } from "../lib/exec.ts";
import { giveTo } from "../lib/give-to.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { readUntrustedFile } from "../lib/untrusted-file.ts";

/** Where containers have mounts of the platform's, in whatever image (runtime/oci-config.ts). */
const mountFolders = [
  ...["app", "dev", "etc/heroku", "opt/stator", "proc", "tmp", "sys/fs/cgroup"],
  ...["sys/devices/system/cpu", "sys/devices/system/node", "sys/kernel/mm/transparent_hugepage"],
];
const mountFiles = ["etc/hosts", "etc/resolv.conf", "etc/profile"];

/** The user that containers run as. */
const user = { name: "dyno", id: 1000, home: "/app" };

/**
 * Makes an unpacked root fit for containers: a place for each mount, the user they run as, and no set-id bits.
 * Nothing runs in it yet, and no link of it is followed.
 */
export async function finishRoot(rootfs: string, userId: number): Promise<void> {
  chmodSync(rootfs, 0o755);
  await execOk(["rm", "-rf", "--", join(rootfs, "dev")]);
  for (const folder of mountFolders) makeFolder(rootfs, folder, userId);
  for (const file of mountFiles) replaceFile(rootfs, file, { text: "", userId });
  // Heroku's apt buildpack reads it, wherever the image itself has its sources.
  if (!lstatSync(join(rootfs, "etc/apt/sources.list"), { throwIfNoEntry: false }))
    replaceFile(rootfs, "etc/apt/sources.list", { text: "", userId });
  for (const [file, text] of Object.entries(accountFiles(rootfs)))
    replaceFile(rootfs, file, { text, userId });
  const bits = ["-perm", "/6000", "-exec", "chmod", "u-s,g-s", "--", "{}", "+"];
  await execOk(["find", rootfs, "-xdev", "!", "-type", "l", ...bits]);
}

function makeFolder(rootfs: string, folder: string, userId: number): void {
  const parts = folder.split("/");
  for (let end = 1; end <= parts.length; end++) {
    const name = parts.slice(0, end).join("/");
    const path = join(rootfs, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found && !found.isDirectory())
      throw new PlatformError(
        "invalid_params",
        `The image has something else where the folder /${name} must be.`,
      );
    if (!found) {
      mkdirSync(path, { mode: 0o755 });
      giveTo(path, userId);
    }
    // Also those that the image has: a container must be able to pass them.
    chmodSync(path, 0o755);
  }
}

/** Images have links here that lead to what another system writes at its start. */
function replaceFile(
  rootfs: string,
  file: string,
  { text, userId }: { text: string; userId: number },
): void {
  makeFolder(rootfs, dirname(file), userId);
  const path = join(rootfs, file);
  rmSync(path, { recursive: true, force: true });
  writeFileSync(path, text, { mode: 0o644, flag: "wx" });
  giveTo(path, userId);
}

/** The image's own accounts, with the containers' user among them. */
function accountFiles(rootfs: string): Record<string, string> {
  const read = (name: string) => readUntrustedFile(join(rootfs, "etc", name)) ?? "";
  return {
    "etc/passwd": withEntry(
      read("passwd") || "root:x:0:0:root:/root:/bin/bash\n",
      `${user.name}:x:${user.id}:${user.id}::${user.home}:/bin/bash`,
    ),
    "etc/group": withEntry(read("group") || "root:x:0:\n", `${user.name}:x:${user.id}:`),
  };
}

/** Puts a line into a file like passwd(5) in place of those with its name or its number. Pure. */
export function withEntry(text: string, entry: string): string {
  const [name, , id] = entry.split(":");
  const others = text.split("\n").filter((line) => {
    const fields = line.split(":");
    return line !== "" && fields[0] !== name && fields[2] !== id;
  });
  return [...others, entry, ""].join("\n");
}
