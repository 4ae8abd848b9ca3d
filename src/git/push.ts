import { BuildFailed } from "../build/build.ts";
import { type BuildPrinter, buildPrinter } from "../build/output.ts";
import type { DeployRequest } from "../deploy/deploy.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import { noObject, objectId, type PushHook } from "./push-hooks.ts";
import { checkOutCommit, readRef } from "../repository/repository.ts";

const deployedRefs = ["refs/heads/main", "refs/heads/master"];

/** Decides on the refs of a push (contract §4.1): main and master build, others are only kept. */
export async function receivePush(
  push: PushHook & {
    app: App;
    user: Account;
    repository: string;
    signal: AbortSignal;
    over: Promise<unknown>;
    /** Whether a build of this commit was begun before. */
    isBuilt(commit: string): boolean;
    deploy(request: DeployRequest): Promise<boolean>;
  },
): Promise<boolean> {
  const { app, user, updates, repository, quarantine, signal } = push;
  const print = buildPrinter(push);
  const deleted = updates.find(
    ({ ref, after }) => deployedRefs.includes(ref) && noObject.test(after),
  );
  if (deleted) {
    await print.line(`!\tPush rejected, cannot delete ${deleted.ref.split("/").pop()} branch.`);
    return false;
  }
  const update = deployedRefs.flatMap((ref) => updates.filter((one) => one.ref === ref))[0];
  if (!update) {
    if (updates.some(({ ref, after }) => ref.startsWith("refs/heads/") && !noObject.test(after)))
      await print.line("Pushed to branch other than [main, master], skipping build.");
    return true;
  }
  const commit = update.after;
  if (!objectId.test(commit)) return false;
  if (push.isBuilt(commit)) await warnOfSameVersion(print, commit);
  const accepted = await push.deploy({
    user,
    output: push,
    signal,
    over: push.over,
    source: {
      version: commit,
      async checkOut(folder, userId) {
        // Another push may have moved the ref while this one waited: git would refuse to move it
        // again, so what this one brings must not be released.
        if ((await readRef(repository, update.ref)) !== update.before) {
          await print.problem(
            `Somebody else has pushed to ${app.name} meanwhile: git fetch, look at it, then push again.`,
          );
          await print.problem("Push failed");
          throw new BuildFailed("the ref has moved");
        }
        await checkOutCommit(repository, { commit, quarantine, folder, userId });
        await print.line("Compressing source files... done.");
      },
    },
  });
  if (!accepted) {
    await print.line("Verifying deploy...");
    await print.line("");
    await print.line(`!\tPush rejected to ${app.name}.`);
    await print.line("");
  }
  return accepted;
}

/** Contract §4.1: mostly somebody pushed another branch, and meant it to be deployed. */
async function warnOfSameVersion(print: BuildPrinter, commit: string): Promise<void> {
  await print.line(`## Warning - The same version of this code has already been built: ${commit}`);
  for (const text of [
    `We have detected that you have triggered a build from source code with version ${commit}`,
    "at least twice. One common cause of this behavior is attempting to deploy code from a different branch.",
    "If you are developing on a branch and deploying via git you must run:",
    "    git push stator <branchname>:main",
  ])
    await print.line(`    ${text}`);
}
