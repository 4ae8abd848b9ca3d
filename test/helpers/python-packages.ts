import { execOk } from "../../src/lib/exec.ts";
import { ensurePrograms } from "./debian-programs.ts";
import { cachedFolder } from "./test-cache.ts";

/** Packages of PyPI, each with its version, installed once; returns a folder for PYTHONPATH. */
export async function pythonPackages(...packages: string[]): Promise<string> {
  await ensurePrograms({ pip3: "python3-pip" });
  return await cachedFolder(packages.join("+"), (folder) =>
    execOk(
      ["python3", "-m", "pip", "install", "-q", "--no-deps", "--target", folder, ...packages],
      {
        env: { ...process.env, PIP_ROOT_USER_ACTION: "ignore" },
      },
    ),
  );
}
