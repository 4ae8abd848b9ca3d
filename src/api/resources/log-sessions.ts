import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { logTime } from "../../logs/log-line.ts";
import { lookUpApp } from "../../model/app.ts";
import { roleIn } from "../../model/collaborator.ts";
import type { Database } from "../../model/database.ts";
import { ownerOfToken } from "../../model/token.ts";
import type { Platform } from "../../platform.ts";
import { answers, born } from "../answers.ts";
import { body } from "../body.ts";
import { type LogAddresses, placeOf } from "../log-addresses.ts";
import { type LogSession, logStream } from "../log-stream.ts";
import { anyone, type ApiEnvironment, member } from "../policy.ts";

const defaultLines = 100;
const mostLines = 1500;

const sinceRule = "must be a time as 10m, 2h, 3d or 2026-05-01T12:00:00Z";
const unitMs: Record<string, number> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const isoTime = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** `10m`, `2h`, `3d` before now, or an ISO time (UTC, unless it says otherwise). Pure. */
export function timeOf(text: string, now: number): Date | undefined {
  const [, count, unit = ""] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  if (count !== undefined) return new Date(now - Number(count) * (unitMs[unit] ?? 0));
  const [iso, zone] = isoTime.exec(text) ?? [];
  if (iso === undefined) return undefined;
  const date = new Date(iso.includes("T") && zone === undefined ? `${iso}Z` : iso);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

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
  since: z
    .string("must be a time")
    .max(40, "is too long")
    .refine((since) => timeOf(since, Date.now()) !== undefined, sinceRule)
    .nullish(),
  grep: z
    .string("must be a text")
    .min(1, "must not be empty")
    .max(1000, "is too long")
    .regex(/^[^\n]*$/, "must be one line")
    .nullish(),
  ignore_case: z.boolean("must be true or false").nullish(),
  format: z.enum(["text", "json"], "must be text or json").nullish(),
});

export const logSessionsApi = (platform: Platform, addresses: LogAddresses) =>
  new Hono<ApiEnvironment>().post(
    "/:app/log-sessions",
    member("read"),
    answers(z.object({ ...born, logplex_url: z.string() })),
    body(newSession),
    (c) => {
      const { app } = c.var;
      const wanted = c.req.valid("json");
      const since = wanted.since ? timeOf(wanted.since, Date.now()) : undefined;
      const key = addresses.keyOf({
        appId: app.id,
        tokenId: c.var.token.id,
        // Who names a time wants all from there.
        lines: Math.min(wanted.lines ?? (wanted.since ? mostLines : defaultLines), mostLines),
        tail: wanted.tail ?? false,
        filter: {
          source: wanted.source ?? undefined,
          dyno: wanted.dyno || wanted.dyno_name || wanted.type || undefined,
          since: since && logTime(since),
          grep: wanted.grep ?? undefined,
          ignoreCase: wanted.ignore_case ?? undefined,
        },
        format: wanted.format ?? "text",
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
    },
  );

/** Whether who asked for it may still read it. */
function mayRead(database: Database, { appId, tokenId }: LogSession): boolean {
  const app = lookUpApp(database, appId);
  const account = ownerOfToken(database, tokenId);
  return app !== undefined && account !== undefined && roleIn(database, app, account) !== undefined;
}

/** The other end of `logplex_url`: the key in the address is the permission (contract §7.1). */
export const logStreamsApi = (
  { database, logs }: Platform,
  { addresses, stopping }: { addresses: LogAddresses; stopping: AbortSignal | undefined },
) =>
  new Hono<ApiEnvironment>().get("/:key", anyone(), (c) => {
    const key = c.req.param("key");
    const lastEventId = c.req.header("Last-Event-ID");
    const session = addresses.find(key, lastEventId);
    if (!session || !mayRead(database, session))
      throw new PlatformError(
        "not_found",
        "No such log session: its address is valid for 5 minutes. Ask for a new one.",
      );
    // Bun ends a connection that is silent for 10 s; a log may be silent for days.
    c.env?.server?.timeout(c.req.raw, 0);
    const events = (c.req.header("Accept") ?? "").includes("text/event-stream");
    const stream = logStream(logs, session, {
      eventId: events ? addresses.eventIds(key) : undefined,
      after: lastEventId === undefined ? undefined : placeOf(lastEventId),
      signal: c.req.raw.signal,
      stopping,
    });
    return c.body(stream, 200, {
      "Content-Type": events ? "text/event-stream" : "text/plain; charset=utf-8",
      "Cache-Control": "no-store",
    });
  });
