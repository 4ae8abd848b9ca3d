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

/** The order in which built-in buildpacks are asked (contract §5); others come after them, and `static` last. */
const detectionOrder = "ruby php nodejs clojure python java scala go".split(" ");

/** Heroku has `java` under two names. */
const alias = "gradle";

/** Files inside the binary cannot be run, nor be seen by other processes: they are written out at start. */
export function installBuildpacks(target: string): void {
  rmSync(target, { recursive: true, force: true });
  copyFolder(embeddedFolder("buildpacks"), target);
  // What several need stands beside each one's own files: a build sees only its buildpacks' folders.
  for (const name of builtInBuildpacks(target))
    copyFolder(join(target, "shared"), join(target, name, "shared"));
  copyFolder(join(target, "java"), join(target, alias));
}

/** Those that are there, in their order: adding one is adding its folder. */
export function builtInBuildpacks(dir: string): string[] {
  return builtInNames(dir).filter((name) => name !== alias);
}

/** What `heroku/NAME` can say here, in the same order. */
export function builtInNames(dir: string): string[] {
  const rank = (name: string) => (name === "static" ? 2 : 1);
  const others = readdirSync(dir)
    .toSorted()
    .filter((name) => !detectionOrder.includes(name));
  const inOrder = [...detectionOrder, ...others.toSorted((one, two) => rank(one) - rank(two))];
  return inOrder.filter((name) => existsSync(join(dir, name, "bin/detect")));
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
