import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Argv, exec, spawn } from "../lib/exec.ts";
import { isRunning, processTable, residentBytes } from "../lib/process-table.ts";
import { attachTo } from "./attach.ts";
import { watchExits } from "./exits.ts";
import {
  type MonitorOrder,
  type MonitorState,
  readExit,
  readProblem,
  readState,
  writeOrder,
} from "./monitor-folder.ts";
import { type ProcessCommand, processCommand, realPlaces } from "./process-command.ts";
import { killAll, liveMonitors, processesOf, signalAll } from "./process-group.ts";
import type {
  ContainerMount,
  ContainerProgram,
  ContainerSpec,
  NetworkAddress,
  Runtime,
} from "./runtime.ts";

export interface ProcessRuntimeOptions {
  /** What runs, and how it has ended. */
  runDir: string;
  /** How this program is started: `monitor` is one of its commands, and `bun` in builds is its first word. */
  program: [string, ...string[]];
}

export interface ProcessRuntime extends Runtime {
  /** Stops watching; what runs goes on. */
  close(): void;
  /** Removes what is shared by all, when none is left. */
  remove(): Promise<void>;
}

/** A large slug is copied first. */
const startTimeoutMs = 120_000;
const lookEveryMs = 1000;
const statusOfKilled = 137;

/** All are on this machine, and none has an address of its own: their ports tell them apart. */
const loopback: NetworkAddress = {
  slot: 0,
  interfaceName: "lo",
  hostAddress: "127.0.0.1",
  containerAddress: "127.0.0.1",
};

/**
 * Runs containers' programs as plain processes of this user, each under a `stator monitor`. They
 * have no walls: no namespaces, no limits, no mounts, no user and no address of their own.
 */
export function createProcessRuntime({ runDir, program }: ProcessRuntimeOptions): ProcessRuntime {
  const containers = join(runDir, "containers");
  const exits = join(runDir, "exits");
  const bin = join(runDir, "bin");
  for (const dir of [containers, exits, bin]) mkdirSync(dir, { recursive: true, mode: 0o700 });
  writePrograms(bin, program);
  const folderOf = (id: string) => join(containers, id);
  const programsOf = (id: string) => join(folderOf(id), "programs");
  const exitOf = (id: string) => join(exits, id);
  const reserved = new Set<string>();

  const statesOf = (id: string): MonitorState[] =>
    namesIn(programsOf(id)).flatMap((name) => readState(join(programsOf(id), name)) ?? []);
  const mainOf = (id: string) => readState(join(programsOf(id), "main"));

  /** Makes what a monitor needs; returns its command line. */
  function prepare(
    id: string,
    name: string,
    order: Omit<MonitorOrder, keyof ProcessCommand> & { program: ContainerProgram },
  ): Argv {
    const folder = join(programsOf(id), name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { program: spec, ...rest } = order;
    writeOrder(folder, { ...rest, ...processCommand(spec, readPlaces(folderOf(id))) });
    return [...program, "monitor", folder];
  }

  function makeContainer(spec: ContainerSpec): void {
    if (spec.rootfs !== undefined)
      throw new Error("plain processes have the machine's own software; images need --runtime oci");
    const folder = folderOf(spec.id);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const places = { ...realPlaces(spec.mounts), "/opt/stator/bin": bin };
    writeFileSync(join(folder, "places"), JSON.stringify(places), { mode: 0o600 });
  }

  /** Whose monitor was killed ends without a status. */
  function isLost(id: string): boolean {
    const state = mainOf(id);
    return state !== undefined && !isRunning(state.monitor) && !isRunning(state.program);
  }
  const ends = watchExits(exits, {
    statusOf(id) {
      // In this order: a monitor writes the status before it goes.
      const lost = isLost(id);
      return readExit(exitOf(id))?.status ?? (lost ? statusOfKilled : undefined);
    },
    lookEveryMs,
  });

  const starting = new Set<string>();
  /** The processes of a container; of one that this server just starts, when they are there. */
  async function startedStates(id: string): Promise<MonitorState[]> {
    while (starting.has(id) && !mainOf(id)) await Bun.sleep(5);
    return statesOf(id);
  }

  async function destroy(id: string): Promise<void> {
    const states = await startedStates(id);
    await killAll(states);
    for (let left = liveMonitors(states); left.length > 0; left = liveMonitors(states)) {
      signalAll(left, "SIGKILL");
      await Bun.sleep(2);
    }
    rmSync(folderOf(id), { recursive: true, force: true });
    rmSync(exitOf(id), { force: true });
    reserved.delete(id);
    ends.forget(id, statusOfKilled);
  }

  async function cleanedUp(exited: Promise<number>, id: string): Promise<number> {
    try {
      return await exited;
    } finally {
      starting.delete(id);
      await destroy(id);
    }
  }

  return {
    async start(spec, { logPath }) {
      makeContainer(spec);
      const copies = copiesOf(spec.mounts);
      const order = { copies, logPath, exitPath: exitOf(spec.id), endsWith: null };
      const argv = prepare(spec.id, "main", { ...order, program: spec });
      const main = join(programsOf(spec.id), "main");
      const errors = Bun.file(join(main, "errors"));
      const monitor = spawn(argv, {
        ...{ stdin: "ignore", stdout: "ignore", stderr: errors, detached: true },
      } as never);
      monitor.unref();
      starting.add(spec.id);
      const started = await whatStarted(main, monitor).finally(() => starting.delete(spec.id));
      if (typeof started === "string") {
        monitor.kill("SIGKILL");
        await monitor.exited;
        await destroy(spec.id);
        throw new Error(`cannot start ${spec.id}: ${started}`);
      }
      return { id: spec.id, pid: started.pid };
    },
    attach(spec, options) {
      makeContainer(spec);
      const copies = copiesOf(spec.mounts);
      const order = { copies, logPath: null, exitPath: exitOf(spec.id), endsWith: process.pid };
      const argv = prepare(spec.id, "main", { ...order, program: spec });
      starting.add(spec.id);
      const attached = attachTo(argv, spec.terminal, {
        ...options,
        folder: join(programsOf(spec.id), "main"),
      });
      return { ...attached, exited: cleanedUp(attached.exited, spec.id) };
    },
    exec(id, added, options) {
      const main = mainOf(id);
      if (!main || !isRunning(main.program))
        throw new Error(`cannot run ${added.argv[0]} in ${id}: it does not run`);
      const name = crypto.randomUUID();
      const order = { copies: [], logPath: null, exitPath: null, endsWith: process.pid };
      const argv = prepare(id, name, { ...order, program: added });
      const attached = attachTo(argv, added.terminal, {
        ...options,
        folder: join(programsOf(id), name),
      });
      const forget = () => rmSync(join(programsOf(id), name), { recursive: true, force: true });
      return { ...attached, exited: attached.exited.finally(forget) };
    },
    stats(id) {
      if (!existsSync(folderOf(id))) return undefined;
      const rows = processesOf(statesOf(id), processTable());
      const sum = (numbers: number[]) => numbers.reduce((all, one) => all + one, 0);
      return {
        memoryBytes: sum(rows.map(({ pid }) => residentBytes(pid))),
        // There is no limit.
        outOfMemoryKills: 0,
        cpuMicroseconds:
          readExit(exitOf(id))?.cpuMicroseconds ?? sum(rows.map((row) => row.cpuMicroseconds)),
        processes: rows.length,
      };
    },
    wait: (id) => ends.wait(id),
    async signal(id, signal) {
      signalAll(processesOf(await startedStates(id), processTable()), `SIG${signal}`);
    },
    destroy,
    list() {
      const pidOf = (id: string) => {
        const main = mainOf(id);
        return main && isRunning(main.program) ? main.program.pid : null;
      };
      return Promise.resolve(new Map(namesIn(containers).map((id) => [id, pidOf(id)])));
    },
    reserveAddress(id) {
      reserved.add(id);
      return loopback;
    },
    addressOf: (id) => (reserved.has(id) || existsSync(folderOf(id)) ? loopback : undefined),
    close: () => ends.close(),
    async remove() {
      await exec(["rm", "-rf", "--", runDir]);
    },
  };
}

/** In builds `bun` is this program, as in containers. */
function writePrograms(bin: string, program: Argv): void {
  const quoted = program.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  const scripts = {
    bun: `BUN_BE_BUN=1 exec ${quoted[0]}`,
    // A buildpack that Bun runs calls it too; then it is not to be Bun.
    toolbox: `unset BUN_BE_BUN\nexec ${quoted.join(" ")} toolbox`,
  };
  for (const [name, script] of Object.entries(scripts)) {
    const path = join(bin, name);
    writeFileSync(path, `#!/bin/sh\n${script} "$@"\n`);
    chmodSync(path, 0o755);
  }
}

/** What an overlay would show is copied. */
function copiesOf(mounts: ContainerMount[]): MonitorOrder["copies"] {
  return mounts.flatMap((mount) =>
    mount.kind === "overlay" ? [{ from: mount.lower, to: mount.upper }] : [],
  );
}

function readPlaces(folder: string): Record<string, string> {
  return JSON.parse(readFileSync(join(folder, "places"), "utf8")) as Record<string, string>;
}

/** Waits for a new monitor: the program's pid, or why there is none. */
async function whatStarted(
  folder: string,
  monitor: { exitCode: number | null; signalCode: string | number | null },
): Promise<{ pid: number } | string> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const over = monitor.exitCode !== null || monitor.signalCode !== null;
    const state = readState(folder);
    if (state) return { pid: state.program.pid };
    const problem = readProblem(folder);
    if (problem !== undefined) return problem;
    if (over) return `its monitor ended: ${readFileSync(join(folder, "errors"), "utf8").trim()}`;
    if (Date.now() > deadline) return `its monitor said nothing for ${startTimeoutMs / 1000} s`;
    await Bun.sleep(2);
  }
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
