import { Hono } from "hono";
import { z } from "zod";
import type { AttachedProgram } from "../../dyno/attached-dyno.ts";
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

const environment = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is not a name of an environment variable"),
  z.string("must be a string").refine((value) => !value.includes("\0"), "has a NUL byte"),
);

const program = z.object({
  command: z
    .string('must be a command, as in {"command": "bash"}')
    .trim()
    .min(1, "must not be empty")
    .refine((command) => !command.includes("\0"), "must not have a NUL byte"),
  env: environment.nullish(),
  force_no_tty: z.boolean("must be true or false").nullish(),
});

const longestLifeSeconds = 24 * 60 * 60;
const oneOff = program.extend({
  attach: z.boolean("must be true or false").nullish(),
  size: z.string("must be the name of a size").max(80).nullish(),
  type: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_-]{0,39}$/, "must be a word of letters, digits, - and _")
    .nullish(),
  time_to_live: z
    .int("must be a number of seconds")
    .min(1, "must be at least 1")
    .max(longestLifeSeconds, `must be at most ${longestLifeSeconds}`)
    .nullish(),
});

interface WaitingDyno {
  attached: AttachedProgram;
  dyno: Dyno;
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
  return new ExpiringKeys<WaitingDyno>(limitMs, ({ attached, app, dyno }) => {
    logs.write(app.id, {
      at: logTime(),
      source: "heroku",
      dyno: dynoName(dyno),
      message: "Error R13 (Attach error) -> Failed to attach to process",
    });
    attached.hangUp();
  });
}

export const dynosApi = (platform: Platform, waiting: ExpiringKeys<WaitingDyno>) => {
  const { database } = platform;
  const attachUrlOf = (one: WaitingDyno) =>
    `${platform.urls.api.replace(/^http/, "ws")}/attach/${waiting.add(one)}`;
  return new Hono<ApiEnvironment>()
    .get("/:app/dynos", (c) => {
      const app = findApp(database, c.req.param("app"));
      const releases = new Map(listReleases(database, app).map((release) => [release.id, release]));
      const dynos = pageOf(c, platform.listDynos(app), { name: dynoName, id: (dyno) => dyno.id });
      return c.json(dynos.map((dyno) => presentDyno(app, dyno, releases.get(dyno.releaseId))));
    })
    .post("/:app/dynos", body(oneOff), async (c) => {
      const app = findApp(database, c.req.param("app"));
      const wanted = c.req.valid("json");
      if (wanted.size && !platform.sizes.find(wanted.size)) throw noSuchSize(platform, wanted.size);
      if (wanted.type && listFormation(database, app).some(({ type }) => type === wanted.type))
        throw new PlatformError(
          "invalid_params",
          `type: ${wanted.type} is a process type of ${app.name}; a one-off dyno needs another word.`,
        );
      const order = {
        command: wanted.command,
        environment: wanted.env ?? {},
        user: c.var.account,
        size: wanted.size ?? undefined,
        type: wanted.type ?? undefined,
        timeToLiveMs: wanted.time_to_live ? wanted.time_to_live * 1000 : undefined,
      };
      if (!wanted.attach) {
        const dyno = await platform.runDetached(app, order);
        return c.json(presentDyno(app, dyno, findRelease(database, app, dyno.releaseId)), 201);
      }
      const terminal = wanted.force_no_tty ? null : terminalSize(order.environment);
      const attached = await platform.runAttached(app, { ...order, terminal });
      const { dyno } = attached;
      const attachUrl = attachUrlOf({ attached, dyno, app, accountId: c.var.account.id });
      const release = findRelease(database, app, dyno.releaseId);
      return c.json(presentDyno(app, dyno, release, attachUrl), 201);
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
    .post("/:app/dynos/:dyno", body(program), (c) => {
      const app = findApp(database, c.req.param("app"));
      const dyno = findDyno(platform, app, c.req.param("dyno"));
      const { command, env, force_no_tty: noTty } = c.req.valid("json");
      const attached = platform.runInside(app, {
        ...{ dyno, command, environment: env ?? {}, user: c.var.account },
        terminal: noTty ? null : terminalSize(env ?? {}),
      });
      const attachUrl = attachUrlOf({ attached, dyno, app, accountId: c.var.account.id });
      const release = findRelease(database, app, dyno.releaseId);
      return c.json(presentDyno(app, dyno, release, attachUrl), 201);
    })
    .delete("/:app/dynos/:dyno", async (c) => {
      const app = findApp(database, c.req.param("app"));
      const dyno = findDyno(platform, app, c.req.param("dyno"));
      // A one-off is not started again: to restart it is to end it.
      if (dyno.kind === "formation") await platform.restartDynos(app, dynoName(dyno));
      else platform.stopDynos(app, dynoName(dyno));
      return c.json({}, 202);
    })
    .post("/:app/dynos/:dyno/actions/stop", (c) => {
      const app = findApp(database, c.req.param("app"));
      platform.stopDynos(app, dynoName(findDyno(platform, app, c.req.param("dyno"))));
      return c.json({}, 202);
    })
    .delete("/:app/formations/:type", async (c) => {
      const app = findApp(database, c.req.param("app"));
      await platform.restartDynos(app, findType(platform, app, c.req.param("type")));
      return c.json({}, 202);
    })
    .post("/:app/formations/:type/actions/stop", (c) => {
      const app = findApp(database, c.req.param("app"));
      platform.stopDynos(app, findType(platform, app, c.req.param("type")));
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

/** A type of the formation that has dynos. */
function findType(platform: Platform, app: App, type: string): string {
  if (platform.listDynos(app).some((dyno) => dyno.kind === "formation" && dyno.type === type))
    return type;
  throw new PlatformError(
    "not_found",
    listFormation(platform.database, app).some((row) => row.type === type)
      ? `There are no ${type} dynos. Scale it up: stator ps:scale ${type}=1 -a ${app.name}.`
      : `Couldn't find that process type (${type.slice(0, 80)}).`,
  );
}

function noSuchSize({ sizes }: Platform, size: string): PlatformError {
  const names = sizes.list.map(({ name }) => name).join(", ");
  return new PlatformError(
    "invalid_params",
    `No such size as ${JSON.stringify(size.slice(0, 80))}. There are: ${names}.`,
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
