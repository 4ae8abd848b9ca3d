import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn } from "../lib/exec.ts";
import { CommandFailure } from "./failures.ts";
import type { World } from "./world.ts";

/** Has a text changed in the person's editor; its file is nobody else's, and gone afterwards. Ends with a newline. */
export async function edited(world: World, text: string, name: string): Promise<string> {
  const { inherited } = world.settings;
  const [program = "vi", ...args] = (inherited.VISUAL || inherited.EDITOR || "vi").split(/\s+/);
  const folder = mkdtempSync(join(tmpdir(), "stator-edit-"));
  const path = join(folder, name);
  try {
    writeFileSync(path, text, { mode: 0o600 });
    const child = spawn([program, ...args, path], {
      ...{ cwd: world.cwd, env: inherited },
      ...{ stdin: "inherit", stdout: "inherit", stderr: "inherit" },
    } as never);
    const status = await child.exited;
    if (status !== 0)
      throw new CommandFailure(`${program} ended with ${status}. Nothing was changed.`);
    return `${readFileSync(path, "utf8").replace(/\n$/, "")}\n`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
