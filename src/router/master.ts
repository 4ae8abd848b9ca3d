import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serveControl } from "./control.ts";
import { findWorkers, startCrew, type Crew, type CrewSettings } from "./crew.ts";
import { turnOverWhenFull } from "./log-file.ts";
import { refuseTakenPorts } from "./ports.ts";
import { createRouterClient, type RouterClient } from "./router-client.ts";
import { createRouteStore, type RouteStore } from "./route-store.ts";
import type { Router } from "./router.ts";
import { keepPidFile } from "./pid-file.ts";
import type { RouterEvent } from "./wakes.ts";

const lookAtLogEveryMs = 500;

/**
 * The router with workers: this process holds the control socket and the table on disk, and serves
 * no request; when it dies the workers go on. Those of a predecessor, or of one that was killed,
 * stop when the new ones listen, and finish what they have.
 */
export async function startMaster(settings: CrewSettings): Promise<Router> {
  const { dir } = settings;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await handConnectionsOn();
  const before = await findPredecessor(dir);
  refuseTakenPorts({ ...settings, except: before.ports });
  const routes = createRouteStore(dir, async () => []);
  await routes.load();
  const crew = await startCrew(settings);
  const { promise: stopped, resolve: tellStopped } = Promise.withResolvers<void>();
  let stopping: Promise<void> | undefined;
  let silence: Promise<void> | undefined;
  const stopListening = () => (silence ??= listenNoMore());
  const stop = () => (stopping ??= stopAll().finally(tellStopped));

  const control = await serveControl(join(dir, "router.sock"), {
    async status() {
      const { inFlight, setAside, workers } = await crew.status();
      return {
        pid: process.pid,
        version: settings.version,
        httpPort: crew.httpPort,
        httpsPort: crew.httpsPort,
        tableVersion: routes.current.version,
        inFlight,
        setAside: [...new Set([...routes.setAside, ...setAside])],
        workers,
      };
    },
    async putTable(table) {
      await routes.replace(table);
      return { setAside: [...new Set([...routes.setAside, ...(await crew.reload())])] };
    },
    async reload() {
      await routes.load();
      return { setAside: await crew.reload() };
    },
    drain: (dynoId, timeoutMs) => crew.drain(dynoId, timeoutMs),
    activity: () => crew.activity(),
    listen: (listener) => listenOnce(crew, routes, listener),
    stop() {
      void stop();
      return stopListening();
    },
  });
  const pidFile = await keepPidFile(join(dir, "router.pid"));
  const logTimer = setInterval(
    () => void turnOverWhenFull(join(dir, "router.log")),
    lookAtLogEveryMs,
  );
  await retire(before);

  async function listenNoMore(): Promise<void> {
    await crew.stop();
    await control.release();
    await pidFile.release();
  }

  async function stopAll(): Promise<void> {
    await stopListening();
    await crew.whenGone();
    clearInterval(logTimer);
    await control.close();
  }

  return { httpPort: crew.httpPort ?? 0, httpsPort: crew.httpsPort, stop, stopped };
}

/**
 * A worker that stops may have connections that the kernel has taken and it has not: Linux (5.14 and
 * later) hands them to the other listeners of the port, if it is told to. Without it, a replacement
 * under load breaks some; where we may not say so, that is what happens.
 */
async function handConnectionsOn(): Promise<void> {
  await writeFile("/proc/sys/net/ipv4/tcp_migrate_req", "1").catch(() => {});
}

interface Predecessor {
  master: number | undefined;
  workers: RouterClient[];
  ports: number[];
}

async function findPredecessor(dir: string): Promise<Predecessor> {
  const master = await createRouterClient(dir)
    .status()
    .catch(() => undefined);
  const workers = await findWorkers(dir);
  const states = await Promise.all(workers.map((worker) => worker.status().catch(() => undefined)));
  const ports = [master, ...states].flatMap((state) => [state?.httpPort, state?.httpsPort]);
  return {
    master: master?.pid,
    workers,
    ports: ports.filter((port) => typeof port === "number"),
  };
}

/** Its master first, or it would replace the workers that end. */
async function retire({ master, workers }: Predecessor): Promise<void> {
  if (master !== undefined && master !== process.pid) {
    try {
      process.kill(master, "SIGTERM");
    } catch {
      // It has ended meanwhile.
    }
  }
  await Promise.all(workers.map((worker) => worker.stop().catch(() => {})));
}

/** All workers' events, each app once until it was seen awake. */
function listenOnce(
  crew: Crew,
  routes: RouteStore,
  listener: (event: RouterEvent) => void,
): () => void {
  const told = new Set<string>();
  let forget = () => {};
  const watch = () => {
    forget = routes.onChange(() => {
      for (const appId of told)
        if (routes.current.apps.get(appId)?.sleeping !== true) told.delete(appId);
      watch();
    });
  };
  watch();
  const close = crew.listen((event) => {
    if (told.has(event.wake)) return;
    told.add(event.wake);
    listener(event);
  });
  return () => {
    forget();
    close();
  };
}
