import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { findApp } from "../../model/app.ts";
import type { Platform } from "../../platform.ts";
import type { ApiEnvironment } from "../authenticate.ts";
import { body } from "../body.ts";
import { ExpiringKeys } from "../expiring-keys.ts";
import { type LogSession, logStream } from "../log-stream.ts";

const defaultLines = 100;
const mostLines = 1500;
const sessionLimitMs = 5 * 60_000;

const text = z.string("must be a string").max(200, "is too long").nullish();
const newSession = z.object({
  lines: z.coerce
    .number<number>("must be a number")
    .int("must be a whole number")
    .min(1, "must be at least 1")
    .nullish(),
  tail: z.boolean("must be true or false").nullish(),
  source: z.enum(["app", "heroku"], "must be app or heroku").nullish(),
  dyno: text,
  dyno_name: text,
  type: text,
});

/** Log sessions that can be opened. */
export function openLogSessions(): ExpiringKeys<LogSession> {
  return new ExpiringKeys<LogSession>(sessionLimitMs);
}

export const logSessionsApi = (platform: Platform, sessions: ExpiringKeys<LogSession>) =>
  new Hono<ApiEnvironment>().post("/:app/log-sessions", body(newSession), (c) => {
    const app = findApp(platform.database, c.req.param("app"));
    const wanted = c.req.valid("json");
    const key = sessions.add({
      appId: app.id,
      lines: Math.min(wanted.lines ?? defaultLines, mostLines),
      tail: wanted.tail ?? false,
      filter: {
        source: wanted.source ?? undefined,
        dyno: wanted.dyno || wanted.dyno_name || wanted.type || undefined,
      },
    });
    const now = new Date().toISOString();
    return c.json(
      {
        created_at: now,
        id: crypto.randomUUID(),
        logplex_url: `${platform.urls.api}/log-streams/${key}`,
        updated_at: now,
      },
      201,
    );
  });

/** The other end of `logplex_url`: the key in the address is the permission (contract §7.1). */
export const logStreamsApi = ({ logs }: Platform, sessions: ExpiringKeys<LogSession>) =>
  new Hono<ApiEnvironment>().get("/:key", (c) => {
    const session = sessions.find(c.req.param("key"));
    if (!session)
      throw new PlatformError(
        "not_found",
        "No such log session: its address is valid for 5 minutes. Ask for a new one.",
      );
    // Bun ends a connection that is silent for 10 s; a log may be silent for days.
    c.env?.server?.timeout(c.req.raw, 0);
    const events = (c.req.header("Accept") ?? "").includes("text/event-stream");
    return c.body(logStream(logs, session, { events, signal: c.req.raw.signal }), 200, {
      "Content-Type": events ? "text/event-stream" : "text/plain; charset=utf-8",
      "Cache-Control": "no-store",
    });
  });
