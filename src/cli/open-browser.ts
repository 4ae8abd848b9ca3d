import { exec, hostEnvironment } from "../lib/exec.ts";
import type { World } from "./world.ts";

/** Opens an address for a person at a desktop; without one, the printed address has to do. */
export async function openBrowser(world: World, url: string): Promise<void> {
  const { home, path, desktop } = world.settings;
  if (!desktop) return;
  const opener = process.platform === "darwin" ? "open" : "xdg-open";
  await exec([opener, url], {
    env: { ...hostEnvironment, ...desktop, HOME: home, PATH: path },
  }).catch(() => {});
}
