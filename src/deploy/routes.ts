import type { LiveDyno } from "../dyno/live-dyno.ts";
import { type App, listApps } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import { listFormation } from "../model/formation.ts";
import { currentRelease } from "../model/release.ts";
import type { RouterClient } from "../router/router-client.ts";
import type { RouteTable } from "../router/route-table.ts";

/** Brings the newest table to the router. */
export interface RoutePublisher {
  /** Resolves when the router has a table that is not older than this call, or cannot be reached. */
  publish(): Promise<void>;
  /** The router is a new one: it is to be told all. */
  forget(): void;
}

/** Asks for the table anew each time; of many calls at once, two are made. */
export function createRoutePublisher(
  router: Pick<RouterClient, "putTable">,
  newestTable: () => Omit<RouteTable, "version">,
): RoutePublisher {
  let version = Date.now();
  let last = "";
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  async function put(): Promise<void> {
    const table = newestTable();
    const text = JSON.stringify(table);
    if (text === last) return;
    try {
      await router.putTable({ ...table, version: ++version });
      last = text;
    } catch {
      // No router answers: it gets the table when it does, from the loop that starts it.
      last = "";
    }
  }

  function publish(): Promise<void> {
    if (!running) {
      running = put().finally(() => (running = undefined));
      return running;
    }
    next ??= running.then(() => {
      next = undefined;
      return publish();
    });
    return next;
  }

  return { publish, forget: () => void (last = "") };
}

/** The router's table from what is in the store and what runs. */
export function routeTable(options: {
  database: Database;
  domain: string;
  liveDynos: LiveDyno[];
  /** Unix socket of the API and of git. */
  platformSocket: string;
  certificates: RouteTable["certificates"];
}): Omit<RouteTable, "version"> {
  const { database, domain, liveDynos, platformSocket, certificates } = options;
  const apps = listApps(database);
  const hosts: RouteTable["hosts"] = {
    [`api.${domain}`]: { socket: platformSocket },
    [`git.${domain}`]: { socket: platformSocket },
  };
  for (const app of apps) hosts[`${app.name}.${domain}`] = { app: app.id };
  return {
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
