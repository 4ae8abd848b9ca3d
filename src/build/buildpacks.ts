import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { embeddedFolder } from "../lib/embedded.ts";

/** Built-in buildpacks in the order in which they are asked (contract §5). */
const detectionOrder = "ruby php nodejs clojure python java scala go static".split(" ");

/** Files inside the binary cannot be run, nor be seen by other processes: they are written out at start. */
export function installBuildpacks(target: string): void {
  rmSync(target, { recursive: true, force: true });
  copyFolder(embeddedFolder("buildpacks"), target);
  // What several need stands beside each one's own files: a build sees only its buildpacks' folders.
  for (const name of builtInBuildpacks(target))
    copyFolder(join(target, "shared"), join(target, name, "shared"));
  // Heroku has it under two names.
  copyFolder(join(target, "java"), join(target, "gradle"));
}

/** Those that are there, in their order. */
export function builtInBuildpacks(dir: string): string[] {
  return detectionOrder.filter((name) => existsSync(join(dir, name, "bin/detect")));
}

/** What `heroku/NAME` can say here. */
export function builtInNames(dir: string): string[] {
  return [...builtInBuildpacks(dir), "gradle"];
}

function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true, mode: 0o755 });
  for (const name of readdirSync(from)) {
    const source = join(from, name);
    const target = join(to, name);
    if (statSync(source).isDirectory()) copyFolder(source, target);
    else {
      writeFileSync(target, readFileSync(source));
      chmodSync(target, to.endsWith("/bin") ? 0o755 : 0o644);
    }
  }
}

/** A build may write into its buildpacks' folders, so it gets copies. */
export function copyBuildpack(installed: string, target: string): void {
  cpSync(installed, target, { recursive: true });
}
