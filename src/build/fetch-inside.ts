import { closeSync, constants, createReadStream, fstatSync, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { keptText } from "./output.ts";
import type { Workshop } from "./workshop.ts";

/** Something cannot be fetched; the message is for the one who builds, without secrets. */
export class FetchFailed extends Error {}

/** Where the toolbox puts what it fetches. */
export const fetchedInside = "/tmp/fetched";

/**
 * Lets the toolbox fetch something inside of the build, where an address leads no further than the
 * build itself may go. The address is without its secrets, which nobody sees in a command line. Returns its answer, the last line: a hash.
 */
export async function fetchInside(
  workshop: Workshop,
  args: [string, ...string[]],
  secrets: string | null,
): Promise<string> {
  const said = keptText(65_536);
  const status = await workshop.run(["toolbox", ...args], {
    output: said,
    network: true,
    onHost: true,
    ...(secrets !== null && { environment: { STATOR_FETCH_SECRETS: secrets } }),
  });
  if (status === 0) return said.text().trim().split("\n").at(-1)?.trim() ?? "";
  const reason = said
    .text()
    .replaceAll(/^ !     /gm, "")
    .trim();
  throw new FetchFailed(reason || `the toolbox ended with status ${status}`);
}

/** What was fetched. The build owns its /tmp, and a link there is not followed. */
export function openFetched(workshop: Workshop): AsyncIterable<Uint8Array> {
  const path = join(workshop.tmpFolder, "fetched");
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  unlinkSync(path);
  if (fstatSync(file).isFile()) return createReadStream("", { fd: file });
  closeSync(file);
  throw new FetchFailed("what was fetched is no file");
}
