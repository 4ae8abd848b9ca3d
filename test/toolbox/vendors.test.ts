import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { run } from "../helpers/run.ts";
import { repositoryRoot } from "../helpers/stator-server.ts";

/** Vendors' servers on loopback, each with the index and the archives that the real one has. */
let mirror: Bun.Server<undefined>;
let files: Map<string, string | Buffer<ArrayBuffer>>;
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "stator-vendors-"));
  files = new Map();
  mirror = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      const file = files.get(decodeURIComponent(pathname) + search);
      return file === undefined ? new Response("none", { status: 404 }) : new Response(file);
    },
  });
});
afterEach(async () => {
  await mirror.stop(true);
  rmSync(root, { recursive: true, force: true });
});

const isArm = process.arch === "arm64";

/** Puts an archive with one program onto the server; answers with its SHA-256. */
async function offer(path: string, program: string, says: string): Promise<string> {
  const folder = mkdtempSync(join(root, "make-"));
  mkdirSync(join(folder, program, ".."), { recursive: true });
  writeFileSync(join(folder, program), `#!/bin/sh\necho ${says}\n`, { mode: 0o755 });
  await exec(["tar", "-C", folder, "-czf", `${folder}.tar.gz`, "."]);
  const archive = readFileSync(`${folder}.tar.gz`) as Buffer<ArrayBuffer>;
  files.set(path, archive);
  return createHash("sha256").update(archive).digest("hex");
}

async function install(name: string, range: string) {
  const argv = [process.execPath, "--no-env-file", join(repositoryRoot, "src/main.ts"), "toolbox"];
  const env = {
    PATH: "/usr/bin:/bin",
    [`STATOR_${name.toUpperCase()}_MIRROR`]: `${mirror.url.origin}/`,
  };
  const folders = ["--cache", join(root, "cache"), "--into", join(root, "into")];
  return run([...argv, "runtime", name, range, ...folders], { env });
}

interface Offer {
  name: string;
  index: string;
  archive: (version: string) => string;
  program: string;
  indexOf: (archives: { version: string; sha256: string }[]) => unknown;
}

const offers: Offer[] = [
  {
    name: "go",
    index: "/?mode=json&include=all",
    archive: (version) => `go${version}.linux-${isArm ? "arm64" : "amd64"}.tar.gz`,
    program: "go/bin/go",
    indexOf: (archives) =>
      archives.map(({ version, sha256 }) => ({
        version: `go${version}`,
        stable: true,
        files: [
          { filename: `go${version}.src.tar.gz`, os: "", arch: "", kind: "source", sha256: "x" },
          {
            filename: `go${version}.linux-${isArm ? "arm64" : "amd64"}.tar.gz`,
            ...{ os: "linux", arch: isArm ? "arm64" : "amd64", kind: "archive", sha256 },
          },
        ],
      })),
  },
  {
    name: "ruby",
    index: "/releases/latest",
    archive: (version) => `ruby-${version}.${isArm ? "arm64" : "x86_64"}_linux.tar.gz`,
    program: "rv-ruby@x/x/bin/ruby",
    indexOf: (archives) => ({
      assets: archives.flatMap(({ version, sha256 }) => [
        { name: `ruby-${version}.arm64_sonoma.tar.gz`, digest: `sha256:${"0".repeat(64)}` },
        {
          name: `ruby-${version}.${isArm ? "arm64" : "x86_64"}_linux.tar.gz`,
          digest: `sha256:${sha256}`,
          browser_download_url: `/ruby-${version}.${isArm ? "arm64" : "x86_64"}_linux.tar.gz`,
        },
      ]),
    }),
  },
];

for (const { name, index, archive, program, indexOf } of offers) {
  const versions =
    name === "go" ? ["1.25.9", "1.25.10", "1.26rc1"] : ["3.3.9", "3.3.10", "4.0.0-preview2"];
  const [older = "", newer = "", early = ""] = versions;
  const line = newer.replace(/\.\d+$/, "");
  const installed = program.split("/").slice(-2).join("/");

  async function offerAll(): Promise<void> {
    const made = [];
    for (const version of versions)
      made.push({ version, sha256: await offer(`/${archive(version)}`, program, version) });
    files.set(index, JSON.stringify(indexOf(made)));
  }

  test(`${name}: a line is its newest version, verified, and of the cache next time; early ones only by name`, async () => {
    await offerAll();
    expect(await install(name, line)).toMatchObject({ status: 0, stdout: `${newer}\n` });
    expect((await run([join(root, "into", installed)])).stdout).toBe(`${newer}\n`);
    expect((await install(name, line)).stderr).toContain(`${newer} from the cache`);
    expect((await install(name, older)).stdout).toBe(`${older}\n`);
    expect((await install(name, early)).stdout).toBe(`${early}\n`);
    expect((await install(name, "9.9")).stderr).toContain('is in the range "9.9". There are:');
  });

  test(`${name}: another file than the announced one is not unpacked`, async () => {
    await offerAll();
    files.set(`/${archive(newer)}`, "something else");
    const { status, stderr } = await install(name, line);
    expect(stderr).toContain("is not the file that was announced, so it is not unpacked.");
    expect(status).toBe(1);
    expect(existsSync(join(root, "into"))).toBe(false);
  });
}
