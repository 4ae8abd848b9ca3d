import { chmodSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import type { StatorApp, StatorServer } from "./stator-server.ts";

/** An app of the stack `container`, with the archive of a root to begin with (`ADD base.tar.gz /`) in some folders. */
export async function createContainerApp(
  stator: StatorServer,
  files: Record<string, string>,
  { base, folders = ["."] }: { base: string; folders?: string[] },
): Promise<StatorApp> {
  const app = await stator.createApp(files);
  for (const path of Object.keys(files))
    if (path.startsWith("cgi-bin/")) chmodSync(join(app.folder, path), 0o755);
  for (const folder of folders) copyFileSync(base, join(app.folder, folder, "base.tar.gz"));
  await app.commit("Its root");
  await app.api("PATCH", "", { build_stack: "container" });
  return app;
}
