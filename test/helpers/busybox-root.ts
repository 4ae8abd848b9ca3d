import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";

const programs =
  "cat chmod chown cp cut dd echo env grep head httpd id ln ls mkdir mkfifo mknod mount nc ps sh sleep su tail test touch trap wget".split(
    " ",
  );

/** Writes a gzip tar of the smallest root that a Dockerfile can begin with: Debian's static busybox. */
export async function writeBusyboxRoot(folder: string, archive: string): Promise<void> {
  const busybox = ["/usr/bin/busybox", "/bin/busybox"].find((path) => existsSync(path));
  if (!busybox) throw new Error("install Debian's package busybox-static");
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
