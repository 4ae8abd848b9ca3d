import { type Context, Hono } from "hono";
import { z } from "zod";
import type { AttachedProgram } from "../../dyno/attached-dyno.ts";
import { PlatformError } from "../../lib/platform-error.ts";
import { logTime } from "../../logs/log-line.ts";
import { type App, containerStack } from "../../model/app.ts";
import { type Dyno, dynoName } from "../../model/dyno.ts";
import { listFormation } from "../../model/formation.ts";
import { findRelease, type Release } from "../../model/release.ts";
import type { Platform } from "../../platform.ts";
import { answers, born, id, named } from "../answers.ts";
import { AttachSession } from "../attach-socket.ts";
import { body, secondsUpTo } from "../body.ts";
import { ExpiringKeys } from "../expiring-keys.ts";
import { pageOf } from "../list-range.ts";
import { account, type ApiEnvironment, member } from "../policy.ts";
import { variantOf } from "../require-version.ts";

const environment = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is not a name of an environment variable"),
  // Heroku's command line sends the size of a terminal in numbers.
  z
    .union([z.string(), z.number().transform(String)], "must be a string")
    .refine((value) => !value.includes("\0"), "has a NUL byte"),
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
  time_to_live: secondsUpTo(longestLifeSeconds).nullish(),
});

export interface WaitingDyno {
  attached: AttachedProgram;
  hasTerminal: boolean;
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

/** Where clients find the dynos that wait for them. */
export interface MeetingPlaces {
  waiting: ExpiringKeys<WaitingDyno>;
  /** `rendezvous://…` for a secret, which Heroku's clients understand; nothing while nobody listens. */
  rendezvousOf(this: void, secret: string): string | undefined;
}

/** Our own command line speaks WebSocket, and says so by its variant of the version. */
const ownVariant = "stator";

const dynoAnswer = z.object({
  ...born,
  app: named,
  attach_url: z.string().nullable(),
  command: z.string(),
  name: z.string(),
  release: z.object({ id, version: z.int() }),
  size: z.string(),
  state: z.string(),
  type: z.string(),
});
const nothing = z.object({});

export const dynosApi = (platform: Platform, { waiting, rendezvousOf }: MeetingPlaces) => {
  const { database } = platform;
  const checkMeetingPlace = (c: Context) => {
    if (variantOf(c) !== ownVariant && rendezvousOf("") === undefined)
      throw new PlatformError(
        "unavailable",
        "Heroku's command line attaches by HTTPS, and this server has none: start it with --https PORT, or use stator run.",
      );
  };
  const attachUrlOf = (c: Context, one: WaitingDyno): string => {
    const secret = waiting.add(one);
    const webSocket = `${platform.urls.api.replace(/^http/, "ws")}/attach/${secret}`;
    return variantOf(c) === ownVariant ? webSocket : (rendezvousOf(secret) ?? webSocket);
  };
  return new Hono<ApiEnvironment>()
    .get("/:app/dynos", member("read"), answers(z.array(dynoAnswer)), (c) => {
      const { app } = c.var;
      const dynos = pageOf(c, platform.listDynos(app), { name: dynoName, id: (dyno) => dyno.id });
      return c.json(
        dynos.map((dyno) => presentDyno(app, dyno, findRelease(database, app, dyno.releaseId))),
      );
    })
    .post(
      "/:app/dynos",
      member("write-protected"),
      answers(dynoAnswer),
      body(oneOff),
      async (c) => {
        const { app } = c.var;
        const wanted = c.req.valid("json");
        if (wanted.attach) checkMeetingPlace(c);
        if (wanted.size && !platform.sizes.find(wanted.size))
          throw noSuchSize(platform, wanted.size);
        // Of images the type says which one the dyno runs on.
        if (
          wanted.type &&
          app.stack !== containerStack &&
          listFormation(database, app).some(({ type }) => type === wanted.type)
        )
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
        const attachUrl = attachUrlOf(c, {
          ...{ attached, hasTerminal: terminal !== null, dyno, app },
          accountId: c.var.account.id,
        });
        const release = findRelease(database, app, dyno.releaseId);
        return c.json(presentDyno(app, dyno, release, attachUrl), 201);
      },
    )
    .delete("/:app/dynos", member("write"), answers(nothing), async (c) => {
      await platform.restartDynos(c.var.app);
      return c.json({}, 202);
    })
    .get("/:app/dynos/:dyno", member("read"), answers(dynoAnswer), (c) => {
      const { app } = c.var;
      const dyno = findDyno(platform, app, c.req.param("dyno"));
      return c.json(presentDyno(app, dyno, findRelease(database, app, dyno.releaseId)));
    })
    .post(
      "/:app/dynos/:dyno",
      member("write-protected"),
      answers(dynoAnswer),
      body(program),
      (c) => {
        const { app } = c.var;
        const dyno = findDyno(platform, app, c.req.param("dyno"));
        const { command, env, force_no_tty: noTty } = c.req.valid("json");
        checkMeetingPlace(c);
        const attached = platform.runInside(app, {
          ...{ dyno, command, environment: env ?? {}, user: c.var.account },
          terminal: noTty ? null : terminalSize(env ?? {}),
        });
        const attachUrl = attachUrlOf(c, {
          ...{ attached, hasTerminal: !noTty, dyno, app },
          accountId: c.var.account.id,
        });
        const release = findRelease(database, app, dyno.releaseId);
        return c.json(presentDyno(app, dyno, release, attachUrl), 201);
      },
    )
    .delete("/:app/dynos/:dyno", member("write"), answers(nothing), async (c) => {
      const { app } = c.var;
      const dyno = findDyno(platform, app, c.req.param("dyno"));
      // A one-off is not started again: to restart it is to end it.
      if (dyno.kind === "formation") await platform.restartDynos(app, dynoName(dyno));
      else platform.stopDynos(app, dynoName(dyno));
      return c.json({}, 202);
    })
    .post("/:app/dynos/:dyno/actions/stop", member("write"), answers(nothing), (c) => {
      const { app } = c.var;
      platform.stopDynos(app, dynoName(findDyno(platform, app, c.req.param("dyno"))));
      return c.json({}, 202);
    })
    .delete("/:app/formations/:type", member("write"), answers(nothing), async (c) => {
      const { app } = c.var;
      await platform.restartDynos(app, findType(platform, app, c.req.param("type")));
      return c.json({}, 202);
    })
    .post("/:app/formations/:type/actions/stop", member("write"), answers(nothing), (c) => {
      const { app } = c.var;
      platform.stopDynos(app, findType(platform, app, c.req.param("type")));
      return c.json({}, 202);
    });
};

/** The other end of `attach_url`: turns the request into a WebSocket with the dyno behind it. */
export const attachApi = (waiting: ExpiringKeys<WaitingDyno>) =>
  new Hono<ApiEnvironment>().get("/:key", account("write-protected", { anyVersion: true }), (c) => {
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
): z.input<typeof dynoAnswer> {
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
