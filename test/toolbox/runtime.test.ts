import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { run } from "../helpers/run.ts";
import { repositoryRoot } from "../helpers/stator-server.ts";

/** A vendor's server on loopback: it has what the vendor has, and can be made to misbehave. */
let mirror: Bun.Server<undefined>;
let asked: string[];
let files: Map<string, () => Response>;
let root: string;

const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
const nameOf = (version: string) =>
  `cpython-${version}+20260101-${machine}-unknown-linux-gnu-install_only_stripped.tar.gz`;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "stator-runtime-"));
  asked = [];
  files = new Map();
  mirror = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const path = decodeURIComponent(new URL(request.url).pathname);
      asked.push(path);
      return files.get(path)?.() ?? new Response("none", { status: 404 });
    },
  });
  const sums: string[] = [];
  for (const version of ["3.12.9", "3.13.1", "3.13.10", "3.14.0", "3.15.0a1"]) {
    const archive = await archiveOf(version);
    sums.push(`${createHash("sha256").update(archive).digest("hex")}  ${nameOf(version)}`);
    files.set(`/${nameOf(version)}`, () => new Response(archive));
  }
  files.set("/SHA256SUMS", () => new Response(`${sums.join("\n")}\n`));
});
afterEach(async () => {
  await mirror.stop(true);
  rmSync(root, { recursive: true, force: true });
});

async function archiveOf(version: string): Promise<Buffer<ArrayBuffer>> {
  const folder = join(root, "make", version);
  mkdirSync(join(folder, "python/bin"), { recursive: true });
  writeFileSync(join(folder, "python/bin/python3"), `#!/bin/sh\necho ${version}\n`, {
    mode: 0o755,
  });
  await exec(["tar", "-C", folder, "-czf", `${folder}.tar.gz`, "python"]);
  return readFileSync(`${folder}.tar.gz`) as Buffer<ArrayBuffer>;
}

async function toolbox(...args: string[]) {
  const argv = [process.execPath, "--no-env-file", join(repositoryRoot, "src/main.ts"), "toolbox"];
  const env = { PATH: "/usr/bin:/bin", STATOR_PYTHON_MIRROR: `${mirror.url.origin}/` };
  return run([...argv, ...args], { env });
}
const install = (range: string) =>
  toolbox("runtime", "python", range, "--cache", join(root, "cache"), "--into", join(root, "into"));

test("a line of versions is resolved to its newest, verified, unpacked, and taken from the cache next time", async () => {
  expect(await install("3.13")).toMatchObject({ status: 0, stdout: "3.13.10\n" });
  expect((await run([join(root, "into/bin/python3")])).stdout).toBe("3.13.10\n");
  asked = [];
  const again = await install("3.13");
  expect(again.stderr).toContain("Using Python 3.13.10 from the cache (SHA-256 verified).");
  expect(asked).toEqual(["/SHA256SUMS"]);
});

test("an exact version is that one; early versions come only when named", async () => {
  expect((await install("3.13.1")).stdout).toBe("3.13.1\n");
  expect((await install("3")).stdout).toBe("3.14.0\n");
  expect((await install("3.15.0a1")).stdout).toBe("3.15.0a1\n");
});

test("a version that nobody has is told with those that there are", async () => {
  const { status, stderr } = await install("3.9");
  expect(status).toBe(1);
  expect(stderr).toContain('is in the range "3.9". There are: 3.12, 3.13, 3.14, 3.15.');
});

test("another file than the announced one is not unpacked", async () => {
  files.set(`/${nameOf("3.14.0")}`, () => new Response("something else"));
  const { status, stderr } = await install("3.14");
  expect(status).toBe(1);
  expect(stderr).toContain("is not the file that was announced, so it is not unpacked.");
  expect(existsSync(join(root, "into"))).toBe(false);
});

test("an archive that the vendor lists and does not have is told at once", async () => {
  files.delete(`/${nameOf("3.14.0")}`);
  const { status, stderr } = await install("3.14");
  expect(status).toBe(1);
  expect(stderr).toContain("does not exist.\n !     Its vendor lists it, but does not have it.");
  expect(asked).toHaveLength(2);
});

test("a download that is cut off, or answered with an error, is tried again", async () => {
  const whole = files.get(`/${nameOf("3.14.0")}`) as () => Response;
  let tries = 0;
  files.set(`/${nameOf("3.14.0")}`, () =>
    ++tries === 1 ? new Response("busy", { status: 503 }) : whole(),
  );
  const { status, stderr } = await install("3.14");
  expect(stderr).toContain("Download failed (the server answered 503); attempt 2 of 3 follows.");
  expect(status).toBe(0);
});

test("when nobody answers, the cache does; without one the operator's way out is told", async () => {
  await install("3.14");
  files.clear();
  files.set("/SHA256SUMS", () => new Response("away", { status: 500 }));
  const cached = await install("3.14");
  expect(cached.stderr).toContain("using the cache.");
  expect(cached.stdout).toBe("3.14.0\n");
  const other = await install("3.12");
  expect(other.stderr).toContain("An operator without access to it can set STATOR_PYTHON_MIRROR");
  expect(other.status).toBe(1);
});

test("a cache that the disk has changed is downloaded again", async () => {
  await install("3.14");
  const { sha256 } = (await Bun.file(join(root, "cache/archive.json")).json()) as {
    sha256: string;
  };
  writeFileSync(join(root, "cache", sha256), "rot");
  expect((await install("3.14")).stderr).toContain("Downloading http");
});

test("what the toolbox does not have is told with what it has", async () => {
  const { status, stderr } = await toolbox("nonsense");
  expect(status).toBe(2);
  expect(stderr).toContain(
    "it has satisfies, versions, runtime, download, git-resolve, git-archive, unpack, truststore.",
  );
});
