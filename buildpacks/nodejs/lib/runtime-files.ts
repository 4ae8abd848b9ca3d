import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Build } from "./build.ts";
import { binFolders } from "./environment.ts";

const root = join(import.meta.dir, "..");

/** The scripts that every dyno of the app sources when it starts. */
export async function writeProfile({ dir }: Build): Promise<void> {
  const folder = join(dir, ".profile.d");
  await mkdir(folder, { recursive: true });
  for (const name of ["nodejs.sh", "WEB_CONCURRENCY.sh"]) {
    await Bun.write(join(folder, name), Bun.file(join(root, "profile", name)));
  }
}

/** What the next buildpack of this build sources. */
export async function writeExport({ dir, env }: Build): Promise<void> {
  const quote = (value: string) => `'${value.replaceAll("'", `'\\''`)}'`;
  const folders = [...binFolders(dir), join(dir, "node_modules/.bin")].map(quote).join(":");
  const home = env["NODE_HOME"] ? `export NODE_HOME=${quote(env["NODE_HOME"])}\n` : "";
  await Bun.write(join(root, "export"), `export PATH=${folders}:"$PATH"\n${home}`);
}
