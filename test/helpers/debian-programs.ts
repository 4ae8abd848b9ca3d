import { existsSync } from "node:fs";
import { execOk, hostEnvironment } from "../../src/lib/exec.ts";
import { oneAtATime } from "./one-at-a-time.ts";

/** Installs the Debian package of each program, or file by its path, that is not there; `{ program: package }`. */
export async function ensurePrograms(packages: Record<string, string>): Promise<void> {
  // What another file installs at this moment is there, but not yet whole.
  await execOk(oneAtATime("true"));
  const missing = Object.entries(packages).filter(([program]) => !isThere(program));
  if (missing.length === 0) return;
  const env = { ...hostEnvironment, DEBIAN_FRONTEND: "noninteractive" };
  const apt = oneAtATime("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300");
  const names = [...new Set(missing.map(([, name]) => name))];
  await execOk([...apt, "update"], { env });
  await execOk([...apt, "install", "-y", "--no-install-recommends", ...names], { env });
}

function isThere(program: string): boolean {
  return program.startsWith("/") ? existsSync(program) : Bun.which(program) !== null;
}
