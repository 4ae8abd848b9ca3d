import { Hono } from "hono";
import { z } from "zod";
import type { AttachedDyno } from "../../dyno/one-off.ts";
import { PlatformError } from "../../lib/platform-error.ts";
import { logTime } from "../../logs/log-line.ts";
import { type App, findApp } from "../../model/app.ts";
import { type Dyno, dynoName } from "../../model/dyno.ts";
import { listFormation } from "../../model/formation.ts";
import { findRelease, listReleases, type Release } from "../../model/release.ts";
import type { Platform } from "../../platform.ts";
import { AttachSession } from "../attach-socket.ts";
import type { ApiEnvironment } from "../authenticate.ts";
import { body } from "../body.ts";
import { ExpiringKeys } from "../expiring-keys.ts";
import { pageOf } from "../list-range.ts";

const oneOff = z.object({
  command: z
    .string('must be a command, as in {"command": "bash"}')
    .trim()
    .min(1, "must not be empty")
    .refine((command) => !command.includes("\0"), "must not have a NUL byte"),
  attach: z.boolean("must be true or false").nullish(),
  env: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is not a name of an environment variable"),
      z.string("must be a string").refine((value) => !value.includes("\0"), "has a NUL byte"),
    )
    .nullish(),
  force_no_tty: z.boolean("must be true or false").nullish(),
});

interface WaitingDyno {
  attached: AttachedDyno;
  app: App;
  accountId: string;
}

/** A client has 30 s to come for the dyno that it asked for (contract §2.2, R13). */
const attachLimitMs = 30_000;

/** One-off dynos whose clients are still to come. */
export function waitingDynos(
  { logs }: Platform,
  limitMs: number = attachLimitMs,
): ExpiringKeys<WaitingDyno> {
  return new ExpiringKeys<WaitingDyno>(limitMs, ({ attached, app }) => {
    logs.write(app.id, {
      at: logTime(),
      source: "heroku",
      dyno: dynoName(attached.dyno),
      message: "Error R13 (Attach error) -> Failed to attach to process",
    });
    attached.hangUp();
  });
}

export const dynosApi = (platform: Platform, waiting: ExpiringKeys<WaitingDyno>) => {
  const { database } = platform;
  return new Hono<ApiEnvironment>()
    .get("/:app/dynos", (c) => {
      const app = findApp(database, c.req.param("app"));
      const releases = new Map(listReleases(database, app).map((release) => [release.id, release]));
      const dynos = pageOf(c, platform.listDynos(app), { name: dynoName, id: (dyno) => dyno.id });
      return c.json(dynos.map((dyno) => presentDyno(app, dyno, releases.get(dyno.releaseId))));
    })
    .post("/:app/dynos", body(oneOff), async (c) => {
      const app = findApp(database, c.req.param("app"));
      const { command, attach, env, force_no_tty: noTty } = c.req.valid("json");
      const order = { command, environment: env ?? {}, user: c.var.account };
      if (!attach) {
        const dyno = await platform.runDetached(app, order);
        return c.json(presentDyno(app, dyno, findRelease(database, app, dyno.releaseId)), 201);
      }
      const terminal = noTty ? null : terminalSize(order.environment);
      const attached = await platform.runAttached(app, { ...order, terminal });
      const key = waiting.add({ attached, app, accountId: c.var.account.id });
      const release = findRelease(database, app, attached.dyno.releaseId);
      const attachUrl = `${platform.urls.api.replace(/^http/, "ws")}/attach/${key}`;
      return c.json(presentDyno(app, attached.dyno, release, attachUrl), 201);
    })
    .delete("/:app/dynos", async (c) => {
      await platform.restartDynos(findApp(database, c.req.param("app")));
      return c.json({}, 202);
    })
    .get("/:app/dynos/:dyno", (c) => {
      const app = findApp(database, c.req.param("app"));
      const dyno = findDyno(platform, app, c.req.param("dyno"));
      return c.json(presentDyno(app, dyno, findRelease(database, app, dyno.releaseId)));
    })
    .delete("/:app/dynos/:dyno", async (c) => {
      const app = findApp(database, c.req.param("app"));
      const dyno = findDyno(platform, app, c.req.param("dyno"));
      await platform.restartDynos(app, dynoName(dyno));
      return c.json({}, 202);
    })
    .delete("/:app/formations/:type", async (c) => {
      const app = findApp(database, c.req.param("app"));
      const type = c.req.param("type");
      if (!listFormation(database, app).some((row) => row.type === type))
        throw new PlatformError("not_found", `Couldn't find that process type (${type}).`);
      await platform.restartDynos(app, type);
      return c.json({}, 202);
    });
};

/** The other end of `attach_url`: turns the request into a WebSocket with the dyno behind it. */
export const attachApi = (waiting: ExpiringKeys<WaitingDyno>) =>
  new Hono<ApiEnvironment>().get("/:key", (c) => {
    const { server } = c.env;
    if (c.req.header("Upgrade")?.toLowerCase() !== "websocket" || !server)
      throw new PlatformError("bad_request", "This address speaks WebSocket only.");
    if (waiting.find(c.req.param("key"))?.accountId !== c.var.account.id)
      throw new PlatformError(
        "not_found",
        "No dyno waits here: an attach_url opens once, within 30 seconds. Run the command again.",
      );
    const { attached } = waiting.take(c.req.param("key")) as WaitingDyno;
    if (
      !(server as Bun.Server<AttachSession>).upgrade(c.req.raw, {
        data: new AttachSession(attached),
      })
    ) {
      attached.hangUp();
      throw new PlatformError("bad_request", "The WebSocket handshake failed.");
    }
    return c.body(null);
  });

function findDyno(platform: Platform, app: App, idOrName: string): Dyno {
  const found = platform
    .listDynos(app)
    .find((dyno) => dynoName(dyno) === idOrName || dyno.id === idOrName);
  if (found) return found;
  throw new PlatformError(
    "not_found",
    `Couldn't find that dyno: ${JSON.stringify(idOrName.slice(0, 80))}. See stator ps -a ${app.name}.`,
  );
}

function terminalSize({ COLUMNS, LINES }: Record<string, string>) {
  const within = (text: string | undefined, fallback: number) => {
    const number = Number(text);
    return Number.isInteger(number) && number >= 1 && number <= 10_000 ? number : fallback;
  };
  return { columns: within(COLUMNS, 80), lines: within(LINES, 24) };
}

function presentDyno(
  app: App,
  dyno: Dyno,
  release: Release | undefined,
  attachUrl: string | null = null,
) {
  return {
    app: { id: app.id, name: app.name },
    attach_url: attachUrl,
    command: dyno.command,
    created_at: dyno.createdAt.toISOString(),
    id: dyno.id,
    name: dynoName(dyno),
    release: { id: dyno.releaseId, version: release?.version ?? 0 },
    size: dyno.size,
    state: dyno.state,
    type: dyno.type,
    updated_at: dyno.updatedAt.toISOString(),
  };
}
