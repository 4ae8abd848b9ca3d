import { join } from "node:path";
import { execOk, hostEnvironment } from "../../src/lib/exec.ts";
import { cachedFolder } from "./test-cache.ts";

/** Packages of npm as the tests' users have them, installed once (some 30 s); returns their `node_modules`. */
export async function npmPackages(...packages: string[]): Promise<string> {
  const folder = await cachedFolder(packages.join("+"), (work) => {
    const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    // npm tells its scripts, and so these tests, what would send it to another folder.
    const env = { ...hostEnvironment, ...npmSettings() };
    return execOk(["npm", "install", "--prefix", work, ...quiet, ...packages], { env, cwd: work });
  });
  return join(folder, "node_modules");
}

/** How npm reaches its registry from this machine. */
export function npmSettings(): Record<string, string> {
  const names =
    /^(HOME|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|https?_proxy|no_proxy|npm_config_(registry|cafile))$/i;
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => names.test(entry[0]) && entry[1] !== undefined,
    ),
  );
}
