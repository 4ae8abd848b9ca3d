import type { AttachedDyno } from "../dyno/attached-dyno.ts";
import { logTime } from "../logs/log-line.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import { dynoName } from "../model/dyno.ts";
import type { Release } from "../model/release.ts";
import type { Slug } from "../model/slug.ts";
import { type ReleaseContext, tell } from "./release-context.ts";

/** Heroku ends a release command after an hour (contract §4.6). */
const timeoutMs = 60 * 60_000;

/** Runs a release's command in a dyno of its own, in no service yet; resolves to its exit status. */
export async function runReleaseCommand(
  context: ReleaseContext,
  app: App,
  options: {
    release: Release;
    slug: Slug;
    user: Account;
    output?: (bytes: Uint8Array) => void | Promise<void>;
  },
): Promise<number> {
  const { release, slug, user } = options;
  tell(context, app, `Running release v${release.version} commands by user ${user.email}`);
  const file = context.outputs.write(release);
  try {
    const dyno = await context.supervisor.oneOffs.runRelease(app, {
      ...{ release, slug, user, timeToLiveMs: timeoutMs },
    });
    const log = lineLog(context, app, dyno);
    dyno.endInput();
    dyno.attach({
      async output(bytes) {
        file.add(bytes);
        log.add(bytes);
        // Who pushed may have gone; the release goes on.
        await Promise.resolve(options.output?.(bytes)).catch(() => {});
      },
      exit: () => log.end(),
    });
    return await dyno.ended;
  } finally {
    file.end();
  }
}

/** Writes bytes to the log of an app, line by line. */
function lineLog({ logs }: ReleaseContext, app: App, { dyno }: AttachedDyno) {
  const decoder = new TextDecoder();
  let pending = "";
  const say = (message: string) =>
    logs.write(app.id, { at: logTime(), source: "app", dyno: dynoName(dyno), message });
  return {
    add(bytes: Uint8Array): void {
      const rows = (pending + decoder.decode(bytes, { stream: true })).split("\n");
      pending = (rows.pop() ?? "").slice(-65_536);
      for (const row of rows) say(row);
    },
    end(): void {
      if (pending) say(pending);
    },
  };
}
