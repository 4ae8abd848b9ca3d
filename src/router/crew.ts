import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { spawn, type Argv } from "../lib/exec.ts";
import type { ActivityReport } from "./activity.ts";
import type { RouterStatus } from "./control.ts";
import { createControlClient, type RouterClient } from "./router-client.ts";
import type { RouterEvent } from "./wakes.ts";

export interface CrewSettings {
  dir: string;
  http: number | null;
  https: number | null;
  host: string;
  version: string;
  /** False: no line for each request. */
  log: boolean;
  /** How many workers; they share the ports. */
  size: number;
  /** How this program is started as a worker. */
  program: Argv;
}

interface Worker {
  name: string;
  client: RouterClient;
  exited: Promise<unknown>;
}

/** The workers of one master: started, replaced when they crash, asked as one. */
export interface Crew {
  readonly httpPort: number | null;
  readonly httpsPort: number | null;
  /** Has all workers read the table on disk; what of it they could not use. */
  reload(): Promise<string[]>;
  status(): Promise<Pick<RouterStatus, "inFlight" | "setAside" | "workers">>;
  activity(): Promise<ActivityReport>;
  drain(dynoId: string, timeoutMs: number): Promise<number>;
  /** Hears the events of all workers, also of those to come. */
  listen(listener: (event: RouterEvent) => void): () => void;
  /** Resolves when nothing is listened on any more. */
  stop(): Promise<void>;
  /** Resolves when all workers have ended. */
  whenGone(): Promise<void>;
}

/** Long: where all is slow, giving up would only make it slower. */
const startTimeoutMs = 30_000;
/** One that dies younger than this will die again: its successor waits a little, longer each time. */
const infancyMs = 1_000;
const longestWaitMs = 5_000;

/** Starts the workers; throws when the first ones do not come up. */
export async function startCrew(settings: CrewSettings): Promise<Crew> {
  const workers = new Set<Worker>();
  const listeners = new Map<(event: RouterEvent) => void, Map<Worker, () => void>>();
  let ports = { http: settings.http, https: settings.https };
  let stopping = false;
  let deathsInInfancy = 0;
  const hiring = new Set<Promise<unknown>>();
  /** How often the table was changed: a worker that read it while it changed reads it again. */
  let reloads = 0;

  async function hire(): Promise<Worker> {
    const name = `${workerPrefix}${crypto.randomUUID().slice(0, 8)}`;
    const listen = (flag: string, port: number | null) =>
      port === null ? [] : [flag, String(port)];
    const startedAtMs = performance.now();
    const child = spawn(
      [
        ...settings.program,
        ...["--dir", settings.dir, "--name", name, "--host", settings.host],
        ...["--build", settings.version],
        ...(settings.log ? [] : ["--no-log"]),
        ...listen("--http", ports.http),
        ...listen("--https", ports.https),
      ],
      // Its own session: it goes on when this process is killed, whoever does it.
      { stdin: "ignore", stdout: "inherit", stderr: "inherit", detached: true } as never,
    );
    const client = createControlClient(join(settings.dir, name));
    const worker: Worker = { name, client, exited: child.exited };
    try {
      const before = reloads;
      const status = await whenReady(worker, () => child.exitCode);
      ports = { http: status.httpPort, https: status.httpsPort };
      workers.add(worker);
      if (reloads !== before) await client.reload();
    } catch (error) {
      child.kill();
      throw error;
    }
    for (const [listener, streams] of listeners) attach(worker, listener, streams);
    void child.exited.then(() => replace(worker, performance.now() - startedAtMs));
    if (stopping) await client.stop().catch(() => {});
    return worker;
  }

  async function whenReady(worker: Worker, exitCode: () => number | null): Promise<RouterStatus> {
    for (const untilMs = performance.now() + startTimeoutMs; performance.now() < untilMs;) {
      const status = await worker.client.status().catch(() => undefined);
      if (status) return status;
      if (exitCode() !== null) throw new Error(`a worker of the router ended with ${exitCode()}`);
      await Bun.sleep(5);
    }
    throw new Error(`a worker of the router did not answer in ${startTimeoutMs} ms`);
  }

  async function replace(worker: Worker, livedMs: number): Promise<void> {
    workers.delete(worker);
    for (const streams of listeners.values()) {
      streams.get(worker)?.();
      streams.delete(worker);
    }
    if (stopping) return;
    await rm(join(settings.dir, worker.name), { force: true });
    deathsInInfancy = livedMs < infancyMs ? deathsInInfancy + 1 : 0;
    for (;;) {
      if (deathsInInfancy > 0) await Bun.sleep(Math.min(longestWaitMs, 50 * 2 ** deathsInInfancy));
      if (stopping) return;
      const hired = hire();
      hiring.add(hired);
      try {
        await hired;
        return;
      } catch (error) {
        process.stderr.write(`router: ${String(error)}\n`);
        deathsInInfancy++;
      } finally {
        hiring.delete(hired);
      }
    }
  }

  function attach(
    worker: Worker,
    listener: (event: RouterEvent) => void,
    streams: Map<Worker, () => void>,
  ): void {
    const stream = worker.client.events(listener);
    streams.set(worker, () => stream.close());
  }

  /** Asks all workers; one that is just dying has nothing to say. */
  async function askAll<T>(ask: (client: RouterClient) => Promise<T>): Promise<T[]> {
    const answers = await Promise.all(
      [...workers].map(({ client }) => ask(client).catch(() => undefined)),
    );
    return answers.filter((answer) => answer !== undefined);
  }

  // The first alone: it may be the one that finds a free port for all.
  await hire();
  const others = Array.from({ length: settings.size - 1 }, () => hire());
  const results = await Promise.allSettled(others);
  const failed = results.find((result) => result.status === "rejected");
  const crew: Crew = {
    httpPort: ports.http,
    httpsPort: ports.https,
    async reload() {
      reloads++;
      const answers = await askAll((client) => client.reload());
      return [...new Set(answers.flatMap(({ setAside }) => setAside))];
    },
    async status() {
      const all = await askAll((client) => client.status());
      const inFlight: Record<string, number> = {};
      for (const one of all)
        for (const [dynoId, count] of Object.entries(one.inFlight))
          inFlight[dynoId] = (inFlight[dynoId] ?? 0) + count;
      return {
        inFlight,
        setAside: [...new Set(all.flatMap(({ setAside }) => setAside))],
        workers: all.map(({ pid }) => pid),
      };
    },
    activity: async () => addActivity(await askAll((client) => client.activity())),
    async drain(dynoId, timeoutMs) {
      const left = await askAll((client) => client.drain(dynoId, { timeoutMs }));
      return left.reduce((sum, { inFlight }) => sum + inFlight, 0);
    },
    listen(listener) {
      const streams = new Map<Worker, () => void>();
      listeners.set(listener, streams);
      for (const worker of workers) attach(worker, listener, streams);
      return () => {
        listeners.delete(listener);
        for (const close of streams.values()) close();
      };
    },
    async stop() {
      stopping = true;
      await Promise.allSettled(hiring);
      await askAll((client) => client.stop());
    },
    async whenGone() {
      await Promise.all([...workers].map(({ exited }) => exited));
    },
  };
  if (failed) {
    await crew.stop();
    throw failed.reason;
  }
  return crew;
}

/** What all workers saw, together. One that is young has not seen what its predecessor saw. */
export function addActivity(reports: readonly ActivityReport[]): ActivityReport {
  const observedMs = Math.min(Infinity, ...reports.map((report) => report.observedMs));
  const sum: ActivityReport = {
    observedMs: Number.isFinite(observedMs) ? observedMs : 0,
    apps: {},
  };
  for (const { apps } of reports)
    for (const [appId, { asked, requests, tunnels, idleMs }] of Object.entries(apps)) {
      const before = sum.apps[appId] ?? {
        ...{ asked: 0, requests: 0, tunnels: 0, idleMs: sum.observedMs },
      };
      sum.apps[appId] = {
        asked: before.asked + asked,
        requests: before.requests + requests,
        tunnels: before.tunnels + tunnels,
        idleMs: Math.min(before.idleMs, idleMs),
      };
    }
  return sum;
}

const workerPrefix = "worker-";

/** The workers that serve for a folder, whoever started them. */
export async function findWorkers(dir: string): Promise<RouterClient[]> {
  const names = await readdir(dir).catch(() => []);
  const found = await Promise.all(
    names
      .filter((name) => name.startsWith(workerPrefix))
      .map(async (name) => {
        const client = createControlClient(join(dir, name));
        const answers = await client.status().then(
          () => true,
          () => false,
        );
        // Nobody is behind it any more.
        if (!answers) await rm(join(dir, name), { force: true });
        return answers ? [client] : [];
      }),
  );
  return found.flat();
}
