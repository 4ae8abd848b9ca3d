import { type Account, findAccount } from "../model/account.ts";
import type { App } from "../model/app.ts";
import { releaseType } from "../model/formation.ts";
import { type Release, setReleaseStatus } from "../model/release.ts";
import { findSlug } from "../model/slug.ts";
import { runReleaseCommand } from "./release-command.ts";
import { type ReleaseContext, tell } from "./release-context.ts";

/** How it went: in service, or why not, and whether the release before goes on serving. */
export type WentLive =
  { live: true } | { live: false; reason: string; kept: boolean; releaseCommand: boolean };

/** Brings a release into service: its release command first, then its dynos (contract §4.6). */
export function goLive(
  context: ReleaseContext,
  app: App,
  options: { release: Release; output?: (bytes: Uint8Array) => void | Promise<void> },
): Promise<WentLive> {
  const { release } = options;
  const { database, supervisor } = context;
  return context.inOrder(app.id, async () => {
    const slug = release.slugId ? findSlug(database, release.slugId) : undefined;
    if (slug && Object.hasOwn(slug.processTypes, releaseType)) {
      const user = findAccount(database, release.userId) as Account;
      const status = await runReleaseCommand(context, app, { ...options, slug, user });
      if (status !== 0) {
        setReleaseStatus(database, release, "failed");
        const reason = `the release command exited with status ${status}`;
        return { live: false, reason, kept: true, releaseCommand: true };
      }
    }
    const rolledOut = await supervisor.rollOut(app, release);
    return rolledOut.live ? rolledOut : { ...rolledOut, releaseCommand: false };
  });
}

/** Says in the log that a release was made and brings it into service in the background. */
export function announce(
  context: ReleaseContext,
  app: App,
  { release, user }: { release: Release; user: Account },
): void {
  const { description, version } = release;
  tell(context, app, `${description} by user ${user.email}`);
  tell(context, app, `Release v${version} created by user ${user.email}`);
  void goLive(context, app, { release }).then((went) => {
    if (!went.live && went.kept)
      tell(
        context,
        app,
        `Release v${version} failed: ${went.reason}. The release before goes on serving.`,
      );
  });
}
