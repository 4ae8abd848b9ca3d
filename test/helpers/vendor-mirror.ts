import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";

import type { Bench } from "./buildpack-bench.ts";

export type VendorMirror = ReturnType<typeof startVendorMirror>;

/** The makers of JDKs on loopback, with their indexes, and files of others; it can be made to misbehave. */
export function startVendorMirror() {
  const root = mkdtempSync(join(tmpdir(), "vendor-mirror-"));
  const files = new Map<string, () => Response>();
  const temurin: { line: number; release: object }[] = [];
  const packages: object[] = [];
  let broken = false;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      if (broken) return new Response("away", { status: 503 });
      const line = /^\/java\/v3\/assets\/feature_releases\/(\d+)\/ga$/.exec(pathname)?.[1];
      if (line !== undefined) return temurinPage(Number(line), searchParams);
      if (pathname === "/zulu") return Response.json(packages);
      return files.get(pathname)?.() ?? new Response("none", { status: 404 });
    },
  });
  const address = server.url.origin;

  /** As Adoptium answers: newest first, and 404 for a page that has nothing. */
  function temurinPage(line: number, query: URLSearchParams): Response {
    const size = Number(query.get("page_size"));
    const from = Number(query.get("page")) * size;
    const all = temurin.filter((one) => one.line === line).map(({ release }) => release);
    const page = all.toReversed().slice(from, from + size);
    return page.length > 0 ? Response.json(page) : new Response("none", { status: 404 });
  }

  /** An archive with a program `java` that says which version it is. */
  async function offer(version: string): Promise<{ link: string; sha256: string }> {
    const folder = join(root, version, "jdk");
    mkdirSync(join(folder, "bin"), { recursive: true });
    writeFileSync(join(folder, "release"), `JAVA_VERSION="${version}"\n`);
    for (const program of ["java", "javac"])
      writeFileSync(join(folder, "bin", program), `#!/bin/sh\necho "this is Java ${version}"\n`, {
        mode: 0o755,
      });
    const archive = `${folder}.tar.gz`;
    await execOk(["tar", "-C", join(folder, ".."), "-czf", archive, "jdk"]);
    const path = `/files/${version}.tar.gz`;
    files.set(path, () => new Response(readFileSync(archive)));
    const sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex");
    return { link: `${address}${path}`, sha256 };
  }

  return {
    address,
    files,
    /** A JDK of Adoptium's; returns its SHA-256. */
    async offerJava(version: string, build: number): Promise<string> {
      const [major = 0, minor = 0, security = 0] = version.split(".").map(Number);
      const { link, sha256 } = await offer(version);
      const version_data = { major, minor, security, build, semver: `${version}+${build}.0.LTS` };
      const binaries = [{ package: { link, checksum: sha256, name: `jdk-${version}.tar.gz` } }];
      temurin.push({ line: major, release: { version_data, binaries } });
      return sha256;
    },
    async offerZulu(version: string, build: number): Promise<void> {
      const { link, sha256 } = await offer(version);
      packages.push({
        java_version: version.split(".").map(Number),
        openjdk_build_number: build,
        ...{ download_url: link, sha256_hash: sha256 },
      });
    },
    /** A tool whose version and SHA-256 the buildpack's own data file then has. */
    async offerTool(bench: Bench, name: string, version: string, file: string, path: string) {
      const data = JSON.parse(await bench.read("buildpack/versions.json")) as Record<
        string,
        object
      >;
      const sha256 = createHash("sha256").update(readFileSync(file)).digest("hex");
      await bench.write("buildpack/versions.json", {
        ...data,
        [name]: { ...data[name], version, sha256 },
      });
      files.set(path, () => new Response(readFileSync(file)));
    },
    /** From now on every archive is another one than its index says. */
    spoil: () => {
      for (const path of files.keys()) files.set(path, () => new Response("something else"));
    },
    forget: () => void temurin.splice(0),
    breakDown: () => void (broken = true),
    async stop(): Promise<void> {
      await server.stop(true);
      rmSync(root, { recursive: true, force: true });
    },
  };
}
