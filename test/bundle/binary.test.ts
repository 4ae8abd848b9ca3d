import { expect, test } from "bun:test";
import { join } from "node:path";
import { exec, hostEnvironment } from "../../src/lib/exec.ts";

test("a target that there is not is named, with those that there are", async () => {
  const { exitCode, stderr } = await exec(
    [process.execPath, "src/bundle/binary.ts", "--target", "linux-toaster"],
    { cwd: join(import.meta.dir, "../.."), env: hostEnvironment },
  );
  expect(stderr).toBe(
    " ▸    --target is linux-toaster, but must be one of linux-x64, linux-arm64, darwin-x64, darwin-arm64\n",
  );
  expect(exitCode).toBe(2);
});
