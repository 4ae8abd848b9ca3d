import { chownSync } from "node:fs";
import { execOk } from "./exec.ts";

/** Makes a file or folder a user's (and of the group with the same number); that may be this process's own. */
export function giveTo(path: string, id: number): void {
  if (id !== process.getuid?.()) chownSync(path, id, id);
}

/** Gives a folder with all that is in it. */
export async function giveAllTo(folder: string, id: number): Promise<void> {
  if (id !== process.getuid?.()) await execOk(["chown", "-R", `${id}:${id}`, folder]);
}
