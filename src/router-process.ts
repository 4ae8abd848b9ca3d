import { closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { spawn } from "./lib/exec.ts";
import { pidExists } from "./lib/process-table.ts";
import type { RouterStatus } from "./router/control.ts";
import { findWorkers } from "./router/crew.ts";
import { createRouterClient, type RouterClient } from "./router/router-client.ts";
import type { ServerSettings } from "./settings/server-settings.ts";

/** A router that runs. */
interface FoundRouter {
  /** It had to be started. */
  isNew: boolean;
  /** Its processes, the workers among them. */
  pids: number[];
}

export interface RunningRouter {
  client: RouterClient;
  httpPort: number | null;
  httpsPort: number | null;
  /** Its processes, the workers among them, when it was found. */
  pids: number[];
  /** Starts the router again when it has died. */
  ensure(): Promise<FoundRouter>;
  /** Whether its process is there, asked of the kernel. */
  isAlive(): boolean;
  /** Stops it and waits until its process is gone. */
  stop(): Promise<void>;
}

/** On a slow machine in the middle of something else it takes many seconds. */
const startTimeoutMs = 60_000;
/** The router gives its last requests 30 s. */
const stopTimeoutMs = 35_000;

/**
 * The router is a process of its own: found when it runs, else started, and it outlives this one. One
 * of another build or with other ports is replaced, and no connection dropped: the new one listens
 * before it has the old one stop.
 */
export async function ensureRouter(
  settings: ServerSettings,
  program: [string, ...string[]],
): Promise<RunningRouter> {
  const dir = join(settings.dataDir, "router");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const client = createRouterClient(dir);
  const build = buildOf(program);
  let wanted = { http: settings.httpPort, https: settings.httpsPort };

  async function status() {
    try {
      return await client.status();
    } catch {
      return undefined;
    }
  }

  async function start() {
    const errors = openSync(join(dir, "errors.log"), "a", 0o600);
    const listen = (flag: string, port: number | null) =>
      port === null ? [] : [flag, String(port)];
    const child = spawn(
      [
        ...program,
        "router",
        ...["--dir", dir, "--host", settings.host, "--build", build],
        ...listen("--http", wanted.http),
        ...listen("--https", wanted.https),
      ],
      { stdin: "ignore", stdout: errors, stderr: errors, detached: true } as never,
    );
    child.unref();
    closeSync(errors);
    const deadline = Date.now() + startTimeoutMs;
    for (;;) {
      const running = await status();
      if (running?.pid === child.pid) return running;
      if (child.exitCode !== null || Date.now() > deadline) {
        child.kill();
        throw new Error(
          `the router does not start; ${join(dir, "errors.log")} says why (is the port ${wanted.http} taken?)`,
        );
      }
      await Bun.sleep(10);
    }
  }

  async function stop() {
    const running = await status();
    const workers = await findWorkers(dir);
    const states = await Promise.all(workers.map((worker) => worker.status().catch(() => null)));
    if (running) await client.stop();
    // Its master may have been killed.
    else await Promise.all(workers.map((worker) => worker.stop().catch(() => {})));
    const pids = [running?.pid, ...states.map((state) => state?.pid)];
    const isThere = () => pids.some((pid) => pid !== undefined && pidExists(pid));
    for (let waitedMs = 0; waitedMs < stopTimeoutMs && isThere(); waitedMs += 10)
      await Bun.sleep(10);
  }

  let running = await status();
  const fits =
    running &&
    (wanted.http === 0 || running.httpPort === wanted.http) &&
    running.httpsPort === wanted.https &&
    running.version === build;
  if (!running || !fits) {
    if (wanted.http === 0 && running) wanted = { ...wanted, http: running.httpPort };
    running = await start();
  }
  let { pid } = running;
  wanted = { http: running.httpPort, https: running.httpsPort };
  return {
    client,
    httpPort: running.httpPort,
    httpsPort: running.httpsPort,
    pids: pidsOf(running),
    async ensure() {
      const found = await status();
      if (found) return { isNew: false, pids: pidsOf(found) };
      const started = await start();
      pid = started.pid;
      return { isNew: true, pids: pidsOf(started) };
    },
    isAlive: () => pidExists(pid),
    stop,
  };
}

function pidsOf({ pid, workers }: RouterStatus): number[] {
  return [pid, ...workers];
}

/** Tells one build of this program from another: an upgrade replaces the file. */
function buildOf(program: readonly string[]): string {
  const { size, mtimeMs } = statSync(program.at(-1)!);
  return `${size}-${Math.floor(mtimeMs)}`;
}
