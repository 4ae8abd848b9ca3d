import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { OutsideServer } from "./outside-server.ts";

interface Tool {
  buildpack: string;
  name: string;
  version: string;
  archive: string;
}

/**
 * Offers a tool of a buildpack's on the outside server, below `/NAME`. Its maker's own archive cannot be had
 * here: a copy of the buildpack's data file, in a folder of buildpacks, gets the version and the checksum of this one.
 */
export function offerOutside(
  { buildpacks, outside }: { buildpacks: string; outside: OutsideServer },
  { buildpack, name, version, archive }: Tool,
): void {
  const file = join(buildpacks, buildpack, "versions.json");
  const data = JSON.parse(readFileSync(file, "utf8")) as Record<string, { path: string }>;
  const tool = data[name];
  if (!tool) throw new Error(`${buildpack} has no ${name}`);
  const sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex");
  writeFileSync(file, JSON.stringify({ ...data, [name]: { ...tool, version, sha256 } }));
  const path = outside.path(name, tool.path.replaceAll("VERSION", version));
  mkdirSync(dirname(path), { recursive: true });
  cpSync(archive, path);
}
