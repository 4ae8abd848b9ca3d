import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Environment } from "./run.ts";

/**
 * The version of a program that was installed as a package, read from its package.json (asking npm
 * itself takes 200 ms). Undefined when it is not there, or is only a stand-in that would download
 * the real one when called.
 */
export async function packagedVersion(name: string, env: Environment): Promise<string | undefined> {
  const found = Bun.which(name, { PATH: env["PATH"] ?? "" });
  if (!found) return undefined;
  const owners = name === "yarn" ? ["yarn", "@yarnpkg/cli-dist"] : [name];
  const program = await realpath(found);
  for (const folder of [dirname(program), dirname(dirname(program))]) {
    const manifest = Bun.file(join(folder, "package.json"));
    if (!(await manifest.exists())) continue;
    const content: unknown = await manifest.json().catch(() => undefined);
    if (typeof content !== "object" || content === null) continue;
    if (!("name" in content) || !("version" in content)) continue;
    if (owners.includes(String(content.name))) return String(content.version);
  }
  return undefined;
}
