import { realpathSync } from "node:fs";
import { join, sep } from "node:path";
import { BuildFailed } from "../build/build-failed.ts";
import { fetchedInside, fetchInside, FetchFailed, openFetched } from "../build/fetch-inside.ts";
import type { BuildPrinter } from "../build/output.ts";
import type { Workshop } from "../build/workshop.ts";
import { takeSecrets } from "../lib/address-secrets.ts";
import { UnsafeArchive, unpackArchive } from "../lib/archive.ts";
import type { Submodule } from "../repository/repository.ts";

/** Heroku's limit for a check-out with its submodules (contract §4.1). */
const maxBytes = 1024 * 1024 * 1024;

/** Fetches the submodules of a push, as anybody or with what stands in their addresses (clause 72). */
export async function installSubmodules(
  submodules: Submodule[],
  { workshop, print }: { workshop: Workshop; print: BuildPrinter },
): Promise<void> {
  if (submodules.length === 0) return;
  await print.step("Git submodules detected, installing:");
  for (const submodule of submodules) {
    const { path, commit } = submodule;
    try {
      const { url, secrets } = addressOf(submodule);
      await print.detail(`${JSON.stringify(path)} from ${url}, at ${commit}`);
      await fetchInside(workshop, ["git-archive", url, commit, fetchedInside], secrets);
      const folder = folderOf(workshop, path);
      await unpackArchive(openFetched(workshop), {
        ...{ folder, userId: workshop.userId, maxBytes },
        linksMayLeave: true,
      });
    } catch (error) {
      if (!(error instanceof FetchFailed || error instanceof UnsafeArchive)) throw error;
      await print.problem(`The submodule ${JSON.stringify(path)} cannot be had:`);
      for (const line of error.message.split("\n")) await print.problem(line);
      await print.line("");
      await print.problem("Push failed");
      throw new BuildFailed("a submodule is missing");
    }
  }
}

function addressOf({ url: said, path }: Submodule): { url: string; secrets: string | null } {
  if (said === undefined)
    throw new FetchFailed(`.gitmodules does not say where ${path} comes from`);
  const url = URL.parse(said);
  if (!url || !["http:", "https:"].includes(url.protocol))
    throw new FetchFailed(
      "its address in .gitmodules must begin with https://, and have its own user name and password if it needs them",
    );
  const secrets = takeSecrets(url);
  return { url: url.href, secrets };
}

/** The empty folder that the check-out has left for it, if no link leads elsewhere. */
function folderOf({ buildFolder }: Workshop, path: string): string {
  const folder = realpathSync(join(buildFolder, path));
  if (folder.startsWith(realpathSync(buildFolder) + sep)) return folder;
  throw new FetchFailed("its place leads out of the check-out");
}
