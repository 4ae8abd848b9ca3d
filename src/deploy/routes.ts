import type { LiveDyno } from "../dyno/live-dyno.ts";
import { type App, listApps } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import { listFormation } from "../model/formation.ts";
import { currentRelease } from "../model/release.ts";
import type { RouteTable } from "../router/route-table.ts";

/** The router's table from what is in the store and what runs. */
export function routeTable(options: {
  database: Database;
  version: number;
  domain: string;
  liveDynos: LiveDyno[];
  /** Unix socket of the API and of git. */
  platformSocket: string;
  certificates: RouteTable["certificates"];
}): RouteTable {
  const { database, version, domain, liveDynos, platformSocket, certificates } = options;
  const apps = listApps(database);
  const hosts: RouteTable["hosts"] = {
    [`api.${domain}`]: { socket: platformSocket },
    [`git.${domain}`]: { socket: platformSocket },
  };
  for (const app of apps) hosts[`${app.name}.${domain}`] = { app: app.id };
  return {
    version,
    domain,
    hosts,
    apps: Object.fromEntries(apps.map((app) => [app.id, routedApp(database, app, liveDynos)])),
    certificates,
  };
}

function routedApp(database: Database, app: App, all: LiveDyno[]): RouteTable["apps"][string] {
  const web = all.filter(
    (live) => live.app.id === app.id && live.dyno.type === "web" && !live.dyno.leaving,
  );
  const up = web.filter((live) => live.takesRequests);
  const quantity = listFormation(database, app).find(({ type }) => type === "web")?.quantity ?? 0;
  return {
    name: app.name,
    deployed: Boolean(currentRelease(database, app)?.slugId),
    maintenance: app.maintenance,
    sleeping: app.asleep,
    webQuantity: quantity,
    crashed: web.length > 0 && web.every((live) => live.state === "crashed"),
    starting: web.some((live) => live.state === "starting"),
    dynos: up.map((live) => ({
      id: live.dyno.id,
      name: live.name,
      address: live.address,
      port: live.dyno.port,
    })),
  };
}
