import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext, createServer, type Server, type TLSSocket } from "node:tls";
import { createActivity } from "./activity.ts";
import { createQuarantine } from "./balancer.ts";
import { createCertificates, tlsOptions, type Certificates } from "./certificates.ts";
import { serveConnection } from "./client-connection.ts";
import { serveControl } from "./control.ts";
import { createCustomPages } from "./custom-pages.ts";
import { reportBug, sendLastPage, type Client, type Door } from "./exchange.ts";
import { refuseHttp2, serveHttp2 } from "./http2-connection.ts";
import { createIdleConnections } from "./idle-connections.ts";
import { createInFlight } from "./in-flight.ts";
import { herokuLimits, type RouterLimits } from "./limits.ts";
import { openLogFile } from "./log-file.ts";
import { keepPidFile } from "./pid-file.ts";
import { refuseTakenPorts } from "./ports.ts";
import { connectionKey } from "./reach-dyno.ts";
import { createRouterClient } from "./router-client.ts";
import { createRouteStore } from "./route-store.ts";
import { routerError } from "./router-error.ts";
import { tlsWire, wireHandlers, type Held } from "./sockets.ts";
import { createWakes } from "./wakes.ts";
import { createRateLimits } from "./rate-limits.ts";

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
  const routes = createRouteStore(settings.dir, (table) => certificates.load(table));
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
  serve(client: Client, protocol: "http/1.1" | "h2"): void;
  /**
   * Ends connections on which nobody asks for something any more, those with a request or a tunnel
   * when that has ended, and all at the time limit.
   */
  finish(): Promise<void>;
}

function createConnections(door: Door): Connections {
  const open = new Set<Client>();
  const leave = (client: Client) =>
    client.leave === undefined ? client.wire.close(door.limits.lastWordMs) : client.leave();
  return {
    serve(client, protocol) {
      const { wire } = client;
      if (open.size >= door.limits.connections) {
        // Whoever comes beyond what this process can hold is told so, and not kept: no app is known yet, and none logs it.
        const { status, page } = routerError("H22");
        if (protocol === "h2") refuseHttp2(wire);
        else sendLastPage(wire, status, page);
        return wire.close(door.limits.lastWordMs);
      }
      open.add(client);
      void wire.whenClosed().then(() => open.delete(client));
      if (protocol === "http/1.1") return serveConnection(client, door);
      serveHttp2(client, door).catch((error: unknown) => {
        reportBug(error);
        wire.terminate();
      });
    },
    async finish() {
      const { stopMs, quietMs, lastWordMs } = door.limits;
      const startedAtMs = performance.now();
      for (const client of open) client.onStopping?.();
      while (open.size > 0 && performance.now() < startedAtMs + stopMs) {
        for (const client of open) {
          // A client whose request is just on its way must not find the door closed.
          const silentSinceMs = Math.max(startedAtMs, client.wire.activeAtMs);
          if (!client.isAsking && performance.now() > silentSinceMs + quietMs) leave(client);
        }
        await Bun.sleep(10);
      }
      door.stopping = "forced";
      for (const client of open) leave(client);
      const lingerUntilMs = performance.now() + lastWordMs;
      while (open.size > 0 && performance.now() < lingerUntilMs) await Bun.sleep(10);
      for (const { wire } of open) wire.terminate();
    },
  };
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
      connections.serve({ wire, address: plainAddress(socket.remoteAddress) }, "http/1.1"),
    ),
  };
  return Bun.listen<Held>(options);
}

/** A handshake with it ends with an alert. */
const noCertificate = createSecureContext(tlsOptions);

async function listenTls(
  settings: RouterSettings,
  certificates: Certificates,
  connections: Connections,
): Promise<Server> {
  const server = createServer(
    {
      ...tlsOptions,
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: 10_000,
      // As over plain HTTP: the end of a tunnel at one side leaves the other its last words.
      allowHalfOpen: true,
      // Called only when there is a name; with nothing at all, the nameless one would be shown.
      SNICallback: (serverName, callback) =>
        callback(null, certificates.find(serverName) ?? noCertificate),
    },
    (socket) => {
      const isHttp2 = socket.alpnProtocol === "h2";
      const serverName = serverNameOf(socket);
      const client: Client = {
        // The responses of many streams go out together.
        wire: tlsWire(socket),
        address: plainAddress(socket.remoteAddress ?? ""),
        tlsVersion: (socket.getProtocol() ?? "unknown").toLowerCase().replace("tlsv", "tls"),
        namesNoServer: serverName === "",
      };
      if (isHttp2) client.isMisdirected = misdirection(certificates, serverName);
      connections.serve(client, isHttp2 ? "h2" : "http/1.1");
    },
  );
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  certificates.onNameless((options) => server.setSecureContext(options));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: settings.https ?? 0, host: settings.host, reusePort: true }, resolve);
  });
  return server;
}

/**
 * A browser may send requests for another host on a connection of HTTP/2 when it believes that the
 * certificate is good for both. A host that has one of its own is asked for by its own name.
 */
function misdirection(certificates: Certificates, serverName: string): (host: string) => boolean {
  return (host) => {
    const own = certificates.find(host);
    return own !== undefined && own !== certificates.find(serverName);
  };
}

function serverNameOf(socket: TLSSocket & { servername?: unknown }): string {
  return typeof socket.servername === "string" ? socket.servername : "";
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** An IPv4 address that came over an IPv6 socket is still an IPv4 address. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}
