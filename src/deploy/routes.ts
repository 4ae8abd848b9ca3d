import type { LiveDyno } from "../dyno/live-dyno.ts";
import { type App, listApps } from "../model/app.ts";
import { readConfigVars } from "../model/config-vars.ts";
import type { Database } from "../model/database.ts";
import { listDomains } from "../model/domain.ts";
import { isFeatureEnabled } from "../model/feature.ts";
import { listFormation } from "../model/formation.ts";
import { currentRelease } from "../model/release.ts";
import type { Vault } from "../model/vault.ts";
import { readVisitorRules } from "../model/visitor-rules.ts";
import type { RouterClient } from "../router/router-client.ts";
import type { RouteTable } from "../router/route-table.ts";
import { routedVisitorRules } from "./visitor-rules.ts";

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
  /** The router has this table, and no older one. */
  onTaken: (table: Pick<RouteTable, "certificates">) => void = () => {},
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
      onTaken(table);
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
  vault: Vault;
  domain: string;
  liveDynos: LiveDyno[];
  /** Unix socket of the API and of git. */
  platformSocket: string;
  rendezvousSocket: string;
  certificates: RouteTable["certificates"];
  /** What the router answers to a certificate authority. */
  challenges: Record<string, string>;
}): Omit<RouteTable, "version"> {
  const { database, vault, domain, liveDynos, platformSocket, certificates, challenges } = options;
  const apps = listApps(database);
  const hosts: RouteTable["hosts"] = {
    [`api.${domain}`]: { socket: platformSocket },
    [`git.${domain}`]: { socket: platformSocket },
  };
  for (const app of apps) hosts[`${app.name}.${domain}`] = { app: app.id };
  for (const { hostname, appId } of listDomains(database)) hosts[hostname] ??= { app: appId };
  const context = { database, vault, liveDynos };
  return {
    domain,
    hosts,
    apps: Object.fromEntries(apps.map((app) => [app.id, routedApp(context, app)])),
    certificates,
    challenges: { ...challenges },
    rendezvous: { host: `api.${domain}`, socket: options.rendezvousSocket },
  };
}

function routedApp(
  context: { database: Database; vault: Vault; liveDynos: LiveDyno[] },
  app: App,
): RouteTable["apps"][string] {
  const { database, liveDynos } = context;
  const web = liveDynos.filter(
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
    sessionAffinity: isFeatureEnabled(app, "http-session-affinity"),
    ...ownPages(context, app),
    ...routedVisitorRules(readVisitorRules(database, app)),
  };
}

/** Pages of the app's own for its errors and its maintenance (contract §3.8). */
function ownPages({ database, vault }: { database: Database; vault: Vault }, app: App) {
  const vars = readConfigVars(database, vault, app);
  const pageOf = (name: string) =>
    /^https?:\/\//i.test(vars[name] ?? "") && URL.canParse(vars[name]!) ? vars[name] : undefined;
  const [errorPageUrl, maintenancePageUrl] = [
    pageOf("ERROR_PAGE_URL"),
    pageOf("MAINTENANCE_PAGE_URL"),
  ];
  return {
    ...(errorPageUrl === undefined ? {} : { errorPageUrl }),
    ...(maintenancePageUrl === undefined ? {} : { maintenancePageUrl }),
  };
}
