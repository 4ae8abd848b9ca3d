import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { asUser } from "../lib/as-user.ts";
import { exec, execOk } from "../lib/exec.ts";
import { readUntrustedFile } from "../lib/untrusted-file.ts";
import type { Workshop } from "./workshop.ts";

/** Removes what `.slugignore` names, by git's own rules but without `!` (contract §4.4). */
export async function applySlugIgnore({ folder, buildFolder, userId }: Workshop): Promise<void> {
  const text = readUntrustedFile(join(buildFolder, ".slugignore"));
  if (text === undefined) return;
  const patterns = text.split(/\r?\n/).filter((line) => !line.startsWith("!"));
  const tmp = join(folder, "tmp");
  const patternFile = join(tmp, `slugignore_${crypto.randomUUID().slice(0, 8)}`);
  writeFileSync(patternFile, `${patterns.join("\n")}\n`, { mode: 0o644 });
  const repository = `${patternFile}.git`;
  await execOk(["git", "init", "--quiet", "--bare", repository]);
  // The folder is the app's user's; git is told that this is all right, and git only reads.
  const ignored = await execOk(
    [
      ...(["git", "-c", "safe.directory=*", "-c", "core.bare=false"] as const),
      ...["--git-dir", repository, "--work-tree", "."],
      ...[
        "ls-files",
        "-z",
        "--others",
        "--ignored",
        "--directory",
        `--exclude-from=${patternFile}`,
      ],
    ],
    { cwd: buildFolder },
  );
  await exec(["rm", "-rf", "--", repository, patternFile]);
  if (ignored)
    await execOk(asUser(userId, ["xargs", "-0", "rm", "-rf", "--"]), {
      cwd: buildFolder,
      stdin: ignored,
    });
}
