import { type Context, Hono } from "hono";
import { z } from "zod";
import { type App, findApp } from "../../model/app.ts";
import { type AppSummary, summariesOf } from "../../model/app-summary.ts";
import { listAppsOf } from "../../model/collaborator.ts";
import { shownStack } from "../../model/stack.ts";
import type { Platform } from "../../platform.ts";
import { answers, born, named, never, person, time } from "../answers.ts";
import { body, onOrOff } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { account, type ApiEnvironment, member, owner, self } from "../policy.ts";
import { generation, regionName, regionOf } from "./places.ts";
import { warn } from "../warn.ts";
import { stackOf } from "./stacks.ts";

const name = z.string("must be a string");
const stackName = z.string("must be the name of a stack").max(100);
const newApp = z.object({
  name: name.nullish(),
  stack: stackName.nullish(),
  region: regionName.nullish(),
});
const appChange = z.object({
  name: name.optional(),
  maintenance: onOrOff.optional(),
  build_stack: stackName.optional(),
  /** Seconds without a request until its dynos sleep; ours, Heroku has no such field. */
  sleep_after: z
    .int("must be a number of seconds")
    .min(1, "must be at least 1 second")
    .max(366 * 86_400, "must be at most a year")
    .nullish(),
});
const filter = z.object({
  in: z
    .object({
      id: z.array(z.string("must be an id")).max(1000, "has more than 1000 ids").nullish(),
    })
    .nullish(),
});

const appAnswer = z.object({
  ...born,
  acm: z.boolean(),
  archived_at: never,
  build_stack: named,
  buildpack_provided_description: z.string().nullable(),
  generation: named,
  git_url: z.string(),
  internal_routing: never,
  maintenance: z.boolean(),
  name: z.string(),
  organization: never,
  owner: person,
  region: named,
  released_at: time.nullable(),
  repo_size: z.int().nullable(),
  sleep_after: z.number().nullable(),
  slug_size: z.int().nullable(),
  space: never,
  stack: named,
  team: never,
  web_url: z.string(),
});
const foundApp = appAnswer.extend({ joined: z.literal(true), locked: z.literal(false) });

export const appsApi = (platform: Platform) => {
  const { database } = platform;
  const presentAll = (apps: App[]) => presentApps(platform, apps);
  const present = (app: App) => presentApp(platform, app);
  const listed = (c: Context<ApiEnvironment>, wanted = listAppsOf(database, c.var.account)) =>
    pageOf(c, wanted, {
      name: (app) => app.name,
      id: (app) => app.id,
      updated_at: (app) => app.updatedAt.toISOString(),
    });
  return new Hono<ApiEnvironment>()
    .get("/apps", account("read"), answers(z.array(appAnswer)), (c) =>
      c.json(presentAll(listed(c))),
    )
    .get("/users/:user/apps", self("read"), answers(z.array(appAnswer)), (c) =>
      c.json(presentAll(listed(c))),
    )
    .post("/filters/apps", account("read"), answers(z.array(foundApp)), body(filter), (c) => {
      const ids = c.req.valid("json").in?.id;
      const apps = listAppsOf(database, c.var.account);
      const wanted = ids ? apps.filter(({ id }) => ids.includes(id)) : apps;
      const joined = { joined: true, locked: false } as const;
      return c.json(presentAll(listed(c, wanted)).map((app) => ({ ...app, ...joined })));
    })
    .post("/apps", account("write"), answers(appAnswer), body(newApp), async (c) => {
      const { name, stack, region } = c.req.valid("json");
      const app = await platform.createApp({
        ...{ name: name ?? undefined, stack: stack ?? undefined, region: region ?? undefined },
        user: c.var.account,
      });
      if (stack) warnOfAlias(c, app);
      return c.json(present(app), 201);
    })
    .get("/apps/:app", member("read"), answers(appAnswer), (c) => c.json(present(c.var.app)))
    .patch("/apps/:app", member("write"), answers(appAnswer), body(appChange), async (c) => {
      const { name, maintenance, build_stack: stack, ...change } = c.req.valid("json");
      const { sleep_after: sleepAfter } = change;
      let { app } = c.var;
      if (name !== undefined && name !== app.name) app = await platform.renameApp(app, name);
      if (maintenance !== undefined && maintenance !== app.maintenance)
        app = await platform.setMaintenance(app, maintenance);
      if (stack !== undefined) {
        app = platform.stacks.set(app, { name: stack, user: c.var.account });
        warnOfAlias(c, app);
      }
      if (sleepAfter !== undefined)
        app = await platform.setSleep(app, sleepAfter === null ? null : sleepAfter * 1000);
      return c.json(present(findApp(database, app.id)));
    })
    .delete("/apps/:app", owner("write"), answers(appAnswer), async (c) => {
      const answer = present(c.var.app);
      await platform.destroyApp(c.var.app);
      return c.json(answer);
    });
};

function warnOfAlias(c: Context, { stack, stackAlias }: App): void {
  if (stackAlias === null) return;
  warn(c, `The stack ${stackAlias} has not been added to this server; the app is for ${stack}.`);
}

type AppAnswer = z.input<typeof appAnswer>;

function presentApps(platform: Platform, apps: App[]): AppAnswer[] {
  const summaries = summariesOf(platform.database, apps);
  return apps.map((app) => presentSummary(platform, app, summaries.get(app.id)));
}

export function presentApp(platform: Platform, app: App): AppAnswer {
  return presentApps(platform, [app])[0] as AppAnswer;
}

function presentSummary(
  { urls, certificates }: Platform,
  app: App,
  summary?: AppSummary,
): AppAnswer {
  return {
    acm: app.acm && certificates.hasAuthority,
    archived_at: null,
    build_stack: stackOf(shownStack(app)),
    buildpack_provided_description: summary?.buildpackDescription ?? null,
    created_at: app.createdAt.toISOString(),
    generation,
    git_url: urls.git(app),
    id: app.id,
    internal_routing: null,
    maintenance: app.maintenance,
    name: app.name,
    organization: null,
    owner: { email: summary?.ownerEmail ?? "", id: app.ownerId },
    region: regionOf(app.region),
    released_at: summary?.releasedAt?.toISOString() ?? null,
    repo_size: null,
    sleep_after: app.sleepAfterMs === null ? null : app.sleepAfterMs / 1000,
    slug_size: summary?.slugSizeBytes ?? null,
    space: null,
    stack: stackOf(shownStack(app, summary?.stack ?? app.stack)),
    team: null,
    updated_at: app.updatedAt.toISOString(),
    web_url: urls.web(app),
  };
}
