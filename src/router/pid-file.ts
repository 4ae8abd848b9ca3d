import { readFile, rm, writeFile } from "node:fs/promises";

/** Says who this is; a successor may write its own before this one is gone. */
export async function keepPidFile(path: string): Promise<{ release(): Promise<void> }> {
  await writeFile(path, `${process.pid}\n`, { mode: 0o600 });
  return {
    async release() {
      const pid = await readFile(path, "utf8").catch(() => "");
      if (pid.trim() === String(process.pid)) await rm(path, { force: true });
    },
  };
}
