import { expect, test } from "bun:test";
import { join } from "node:path";
import { exec, hostEnvironment } from "../src/lib/exec.ts";

const main = join(import.meta.dir, "../src/main.ts");

for (const [flags, said] of [
  [["--http", "x"], '--http is "x", but must be a port from 0 to 65535'],
  [["--https", "-1"], "Option '--https' argument is ambiguous."],
  [["--bogus"], "Unknown option '--bogus'"],
  [["--data", import.meta.path], `The data folder ${import.meta.path} cannot be made`],
  [["--data", "/proc/nowhere"], "The data folder /proc/nowhere cannot be made"],
] as const)
  test(`stator server ${flags.join(" ")} ends with status 2 and one line that names what is wrong`, async () => {
    const { exitCode, stderr } = await exec(
      [process.execPath, "--no-env-file", main, "server", ...flags],
      { env: hostEnvironment },
    );
    expect(stderr).toStartWith(` ▸    ${said}`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(exitCode).toBe(2);
  });
