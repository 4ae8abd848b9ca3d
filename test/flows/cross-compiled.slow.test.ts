import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { globImports } from "../../src/bundle/glob-imports.ts";
import { exec, hostEnvironment } from "../../src/lib/exec.ts";
import { version } from "../../src/lib/version.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";
import { npmSettings } from "../helpers/npm-programs.ts";
import { repositoryRoot } from "../helpers/stator-server.ts";

/** The executable for other machines than this one: `npm run build -- --target …`. */
const folder = mkdtempSync(join(tmpdir(), "stator-cross-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function build(target: string): Promise<string> {
  const outfile = join(folder, target);
  const argv = ["src/bundle/binary.ts", "--target", target, "--outfile", outfile] as const;
  const env = { ...hostEnvironment, ...npmSettings() };
  const { exitCode, stderr } = await exec([process.execPath, ...argv], {
    cwd: repositoryRoot,
    env,
  });
  // The first time Bun fetches itself for that machine, and says how far it is.
  const problems = stderr.replaceAll(/^(Downloading|Decompressing|Extracting).*\n/gm, "");
  expect(`${target}: ${exitCode} ${problems}`).toBe(`${target}: 0 `);
  return outfile;
}

/** What the kernel of a machine reads first: the format, and whose code it is. */
async function formatOf(path: string): Promise<string> {
  const bytes = Buffer.from(await Bun.file(path).slice(0, 65_536).bytes());
  if (bytes.readUInt32BE(0) === 0x7f454c46)
    return `ELF ${{ 62: "x64", 183: "arm64" }[bytes.readUInt16LE(18)]}`;
  expect(bytes.readUInt32LE(0)).toBe(0xfeedfacf);
  const machine = { 0x01000007: "x64", 0x0100000c: "arm64" }[bytes.readUInt32LE(4)];
  return `Mach-O ${machine}${isSigned(bytes) ? ", signed" : ""}`;
}

/** Whether a Mach-O has a signature (LC_CODE_SIGNATURE): Macs with arm64 run nothing without one. */
function isSigned(bytes: Buffer): boolean {
  let at = 32;
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    if (bytes.readUInt32LE(at) === 0x1d) return true;
    at += bytes.readUInt32LE(at + 4);
  }
  return false;
}

test("the executable is made for Linux and macOS, x64 and arm64", async () => {
  const formats: Record<string, string> = {};
  for (const target of ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"])
    formats[target] = await formatOf(await build(target));
  expect(formats).toEqual({
    "linux-x64": "ELF x64",
    "linux-arm64": "ELF arm64",
    "darwin-x64": expect.stringMatching(/^Mach-O x64/) as string,
    "darwin-arm64": "Mach-O arm64, signed",
  });
});

test("the one for arm64 runs there: help, the version, and commands against a server", async () => {
  if (process.arch === "x64")
    await ensurePrograms({
      "qemu-aarch64": "qemu-user",
      "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1": "libc6-arm64-cross",
    });
  const served = serveLocalPlatform();
  try {
    await served.platform.createApp({ name: "shop", user: served.account });
    const emulator = process.arch === "x64" ? ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"] : [];
    const run = (...args: string[]) =>
      exec([...emulator, join(folder, "linux-arm64"), ...args] as [string, ...string[]], {
        cwd: folder,
        env: {
          ...{ PATH: hostEnvironment.PATH, HOME: folder },
          ...{ STATOR_API: served.apiUrl, STATOR_API_KEY: served.token },
        },
      });
    const said = { exitCode: 0, stderr: "" };
    expect(await run("version")).toMatchObject({
      ...said,
      stdout: `stator/${version} linux-arm64\n`,
    });
    expect((await run("help", "apps")).stdout).toContain("stator apps");
    expect((await run("apps")).stdout).toContain("shop\n");
    expect(await run("config:set", "ON=arm", "-a", "shop")).toMatchObject({ exitCode: 0 });
    expect(await run("config:get", "ON", "-a", "shop")).toMatchObject({ ...said, stdout: "arm\n" });
  } finally {
    await served.stop();
  }
});

test("what is not the server needs no Linux: nothing in the command line's code names what only Linux has", async () => {
  const { outputs } = await Bun.build({
    entrypoints: [join(repositoryRoot, "src/cli/cli.ts")],
    ...{ target: "bun", plugins: [globImports] },
  });
  const text = await outputs[0]?.text();
  expect(text).toContain("// src/cli/commands/logs.ts");
  const ofLinux = /\/proc\/|\/sys\/|\/run\/|\/etc\/|bun:ffi|bun:sqlite|cgroup|[./]runtime\//g;
  expect(text?.match(ofLinux) ?? []).toEqual([]);
});
