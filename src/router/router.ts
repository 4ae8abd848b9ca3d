import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createServer, type Server } from "node:tls";
import { createActivity } from "./activity.ts";
import { createQuarantine } from "./balancer.ts";
import { createCertificates, tlsOptions, type Certificates } from "./certificates.ts";
import { serveConnection } from "./client-connection.ts";
import { serveControl } from "./control.ts";
import { createCustomPages } from "./custom-pages.ts";
import { sendLastPage, type Client, type Door } from "./exchange.ts";
import { createIdleConnections } from "./idle-connections.ts";
import { createInFlight } from "./in-flight.ts";
import { herokuLimits, type RouterLimits } from "./limits.ts";
import { openLogFile } from "./log-file.ts";
import { keepPidFile } from "./pid-file.ts";
import { refuseTakenPorts } from "./ports.ts";
import { connectionKey } from "./proxy.ts";
import { createRouterClient } from "./router-client.ts";
import { createRouteStore } from "./route-store.ts";
import { tlsWire, wireHandlers, type Held } from "./sockets.ts";
import { createWakes } from "./wakes.ts";
import { createRateLimits } from "./rate-limits.ts";
import type { Wire } from "./wire.ts";

export interface RouterSettings {
  /** Holds routes.json, router.sock, router.pid and router.log; made 0700 if it is not there. */
  dir: string;
  /** 0 is any free port, null is none. */
  http: number | null;
  https: number | null;
  host: string;
  /** Which build this is, for `status`. */
  version?: string;
  /** The name of this worker's socket in the folder; then all else there is its master's. */
  worker?: string;
  /** False: no line for each request. */
  log?: boolean;
}

export interface Router {
  /** 0 when it does not listen for plain HTTP. */
  httpPort: number;
  httpsPort: number | null;
  /** Stops listening, finishes the requests under way, gives up the rest after 30 s. */
  stop(): Promise<void>;
  /** Resolves when the router has stopped, whoever asked for it. */
  stopped: Promise<void>;
}

/** Starts the data plane: serves from the last table at once, without the server. */
export async function startRouter(
  settings: RouterSettings,
  limits: Partial<RouterLimits> = {},
): Promise<Router> {
  await mkdir(settings.dir, { recursive: true, mode: 0o700 });
  const certificates = createCertificates();
  const routes = createRouteStore(settings.dir, (table) => certificates.load(table.certificates));
  await routes.load();
  const door = createDoor(settings, { ...herokuLimits, ...limits }, routes);
  const connections = createConnections(door);
  forgetGoneDynos(door);
  const { promise: stopped, resolve: tellStopped } = Promise.withResolvers<void>();

  if (settings.worker === undefined)
    refuseTakenPorts({ ...settings, except: await portsOfPredecessor(settings.dir) });
  const http = settings.http === null ? null : listenPlain(settings, connections);
  const https =
    settings.https === null ? null : await listenTls(settings, certificates, connections);
  const httpPort = http?.port ?? 0;
  const httpsPort = https === null ? null : portOf(https);
  door.httpsPort = httpsPort;

  let stopping: Promise<void> | undefined;
  let silence: Promise<void> | undefined;
  const stopListening = () => (silence ??= listenNoMore());
  const stop = () => (stopping ??= stopAll().finally(tellStopped));
  const control = await serveControl(join(settings.dir, settings.worker ?? "router.sock"), {
    status: () => ({
      pid: process.pid,
      version: settings.version ?? "",
      httpPort: http === null ? null : httpPort,
      httpsPort,
      tableVersion: routes.current.version,
      inFlight: door.dynos.all(),
      setAside: routes.setAside,
      workers: [process.pid],
    }),
    async putTable(table) {
      await routes.replace(table);
      return { setAside: routes.setAside };
    },
    async reload() {
      await routes.load();
      return { setAside: routes.setAside };
    },
    drain: (dynoId, timeoutMs) => door.dynos.whenIdle(dynoId, timeoutMs),
    activity: () => door.activity.report(),
    listen: (listener) => door.wakes.listen(listener),
    stop() {
      void stop();
      return stopListening();
    },
  });
  const pidFile =
    settings.worker === undefined ? await keepPidFile(join(settings.dir, "router.pid")) : null;

  async function listenNoMore(): Promise<void> {
    door.stopping = "finishing";
    http?.stop();
    https?.close();
    // Now, not at the end: a successor may come while requests are still under way here.
    await control.release();
    await pidFile?.release();
  }

  async function stopAll(): Promise<void> {
    await stopListening();
    await connections.finish();
    door.idle.retain(() => false);
    await door.log?.flush();
    await control.close();
  }

  return { httpPort, httpsPort, stop, stopped };
}

async function portsOfPredecessor(dir: string): Promise<number[]> {
  const status = await createRouterClient(dir)
    .status()
    .catch(() => undefined);
  return [status?.httpPort, status?.httpsPort].filter((port) => typeof port === "number");
}

function createDoor(settings: RouterSettings, limits: RouterLimits, routes: Door["routes"]): Door {
  return {
    limits,
    routes,
    quarantine: createQuarantine(limits.quarantineMs),
    idle: createIdleConnections({ idleMs: limits.reuseMs, lastWordMs: limits.lastWordMs }),
    dynos: createInFlight(),
    apps: createInFlight(),
    customPages: createCustomPages(),
    rateLimits: createRateLimits(join(settings.dir, "rate-limits")),
    httpsPort: null,
    activity: createActivity(),
    wakes: createWakes(),
    log:
      settings.log === false
        ? undefined
        : openLogFile(join(settings.dir, "router.log"), {
            // Of several writers one turns the file over: the master.
            ...(settings.worker === undefined ? {} : { maxBytes: Infinity }),
          }),
    stopping: false,
  };
}

/** A dyno that leaves the table is about to stop: an idle connection would only hold it up. */
function forgetGoneDynos(door: Door): void {
  door.routes.onChange(() => {
    const listed = new Set<string>();
    for (const { dynos } of door.routes.current.apps.values())
      for (const dyno of dynos) listed.add(connectionKey(dyno));
    door.idle.retain((key) => listed.has(key));
    door.activity.retain((appId) => door.routes.current.apps.has(appId));
    forgetGoneDynos(door);
  });
}

interface Connections {
  serve(client: Client): void;
  /**
   * Ends connections on which nobody asks for something any more, those with a request or a tunnel
   * when that has ended, and all at the time limit.
   */
  finish(): Promise<void>;
}

function createConnections(door: Door): Connections {
  const open = new Set<Client>();
  return {
    serve(client) {
      if (open.size >= door.limits.connections) return refuseConnection(client.wire, door);
      open.add(client);
      void client.wire.whenClosed().then(() => open.delete(client));
      // A bug must cost one connection, never the router.
      serveConnection(client, door).catch(() => client.wire.terminate());
    },
    async finish() {
      const { stopMs, quietMs, lastWordMs } = door.limits;
      const startedAtMs = performance.now();
      while (open.size > 0 && performance.now() < startedAtMs + stopMs) {
        for (const { wire, isAsking } of open) {
          // A client whose request is just on its way must not find the door closed.
          const silentSinceMs = Math.max(startedAtMs, wire.activeAtMs);
          if (!isAsking && performance.now() > silentSinceMs + quietMs) wire.close(lastWordMs);
        }
        await Bun.sleep(10);
      }
      door.stopping = "forced";
      for (const { wire } of open) wire.close(lastWordMs);
      const lingerUntilMs = performance.now() + lastWordMs;
      while (open.size > 0 && performance.now() < lingerUntilMs) await Bun.sleep(10);
      for (const { wire } of open) wire.terminate();
    },
  };
}

/** H22: whoever comes beyond what this process can hold is told so, and not kept. */
function refuseConnection(wire: Wire, door: Door): void {
  sendLastPage(wire, 503, "application-error");
  wire.close(door.limits.lastWordMs);
}

function listenPlain(settings: RouterSettings, connections: Connections) {
  const options = {
    hostname: settings.host,
    port: settings.http ?? 0,
    // A successor may listen before this router stops, so that an upgrade refuses nobody. (The
    // option works; the types of this version lack it.)
    reusePort: true,
    allowHalfOpen: true,
    socket: wireHandlers((wire, socket) =>
      connections.serve({ wire, address: plainAddress(socket.remoteAddress) }),
    ),
  };
  return Bun.listen<Held>(options);
}

async function listenTls(
  settings: RouterSettings,
  certificates: Certificates,
  connections: Connections,
): Promise<Server> {
  const server = createServer(
    {
      ...tlsOptions,
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: 10_000,
      SNICallback: (serverName, callback) => callback(null, certificates.find(serverName)),
    },
    (socket) =>
      connections.serve({
        wire: tlsWire(socket),
        address: plainAddress(socket.remoteAddress ?? ""),
        tlsVersion: (socket.getProtocol() ?? "unknown").toLowerCase().replace("tlsv", "tls"),
      }),
  );
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: settings.https ?? 0, host: settings.host, reusePort: true }, resolve);
  });
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** An IPv4 address that came over an IPv6 socket is still an IPv4 address. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}
