import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Argv, exec } from "../lib/exec.ts";
import { answerPromptly } from "../lib/time-slice.ts";
import { attachTo } from "./attach.ts";
import {
  accountsSwap,
  capProcessors,
  chooseProcessors,
  enableProcessorChoice,
  limitsWriting,
  moveToGroup,
  pidsOf,
  processorsOf,
  readStats,
  removeCgroup,
  unifiedCgroups,
  weighGroup,
} from "./cgroup.ts";
import { giveStreams, monitorEnded, monitorOf, startMonitor } from "./conmon.ts";
import { watchExits } from "./exits.ts";
import { createNetwork, type Network, networkHookScript } from "./network.ts";
import { containerUser, ociConfig, ociProcess, sysFolders } from "./oci-config.ts";
import { findOciProgram } from "./oci-program.ts";
import { readNumber, tryRead } from "./read-file.ts";
import { writeRootfs } from "./rootfs.ts";
import type { ContainerSpec, ContainerStats, Runtime } from "./runtime.ts";
import { refused, startGate } from "./start-gate.ts";

/**
 * What carries the lines of one dyno: some ten thousand a second. More would cost others the
 * processors, here and where they are stored; what sees to the end of the dyno fits into one turn.
 */
const monitorTurn = { runUs: 2_500, everyUs: 200_000 };
/** Of all dynos: an eighth of the machine. */
const monitorsTurn = { runUs: 1_250 * availableParallelism(), everyUs: 10_000 };

export interface OciRuntimeOptions {
  /** Volatile state (bundles, exit statuses, the runtime's own); gone after a reboot, as are the containers. */
  runDir: string;
  /** Shared by all servers of this machine. */
  addressesDir: string;
  /** Where the skeleton of the containers' root is written; every parent must be passable for others. */
  rootfs: string;
  /** Four hex digits that tell this server's things from another one's. */
  instance: string;
}

export interface OciRuntime extends Runtime {
  network: Network;
  /**
   * Where the processors are not enough for all, the router's processes come before all containers:
   * who waits for an answer waits for them first. Cheap when they do already.
   */
  putFirst(routerPids: number[]): Promise<void>;
  /**
   * While these containers are asked much, all others leave one of the processors to them, also
   * those that come later and answer at no port; `null`: all have all again. Cheap when it is so.
   */
  leaveProcessorTo(asked: ReadonlySet<string> | null): void;
  /** Stops watching; containers go on, with all processors. */
  close(): void;
  /** Removes what is shared by all containers, when none is left: firewall table, cgroups, folders. */
  remove(): Promise<void>;
}

/** In a bundle: the port that is open, for the server that comes after this one. */
const portFile = "open-port";
/** A web dyno of the usual sizes has 100 or 200. */
const routerWeight = 1000;
/** So long at least, and not twice as long, a new container has all processors, whoever is asked. */
const youthMs = 300;
/** How long the last figures of an attached container are remembered: its caller asks after its end. */
const lastStatsMs = 60_000;

/** Containers by runc or crun, each under a conmon of its own. */
export async function createOciRuntime(options: OciRuntimeOptions): Promise<OciRuntime> {
  const { runDir, rootfs, instance } = options;
  const bundles = join(runDir, "containers");
  const exits = join(runDir, "exits");
  const state = join(runDir, "runtime");
  const limits = join(runDir, "limits");
  for (const dir of [bundles, exits, state, limits])
    mkdirSync(dir, { recursive: true, mode: 0o711 });
  chmodSync(state, 0o700);
  writeRootfs(rootfs);
  const networkHook = join(runDir, "network-hook");
  writeFileSync(networkHook, networkHookScript);
  const network = createNetwork(instance, {
    addressesDir: options.addressesDir,
    networkHook,
    pidOf: (id) => containerPid(id),
  });
  const host = {
    rootfs,
    networkHook,
    cgroupParent: `/stator-${instance}`,
    shownLimit: (bytes: number) => writeOnce(join(limits, String(bytes)), `${bytes}\n`),
    sysFolders: sysFolders.filter((path) => existsSync(path)),
    unifiedCgroups,
    accountsSwap: accountsSwap(),
    limitsWriting: limitsWriting(),
  };
  let program = "";
  /** `--keep` where the program knows it: then an attached container's figures outlive it. */
  let runOptions: string[] = [];

  const runtimeArgv = (...args: string[]): Argv => [program, "--root", state, ...args];
  const bundleOf = (id: string) => join(bundles, id);
  const groupOf = (id: string) => `${host.cgroupParent}/${id}`;

  function writeBundle(spec: ContainerSpec): string {
    const bundle = bundleOf(spec.id);
    mkdirSync(bundle, { recursive: true, mode: 0o700 });
    const config = JSON.stringify(ociConfig(spec, host));
    writeFileSync(join(bundle, "config.json"), config, { mode: 0o600 });
    return bundle;
  }

  /** Pid of a container's first process while it runs; a number that was given again is not mistaken for it. */
  function containerPid(id: string): number | undefined {
    const pid = readNumber(join(bundleOf(id), "pid"));
    return tryRead(`/proc/${pid}/cgroup`).includes(`:${groupOf(id)}\n`) ? pid : undefined;
  }
  /** Runs beside the container's start, which waits for it in the end. */
  function openPort({ id, openPort: port }: ContainerSpec): Promise<void> {
    if (port === null) return Promise.resolve();
    writeFileSync(join(bundleOf(id), portFile), String(port));
    const opened = network.open(id, port);
    opened.catch(() => {});
    return opened;
  }
  for (const id of readdirSync(bundles)) {
    const port = readNumber(join(bundleOf(id), portFile));
    if (port !== undefined && network.addressOf(id)) void network.open(id, port).catch(() => {});
  }

  const monitors = `${host.cgroupParent}/monitors`;
  let monitorsCapped: Promise<void> | undefined;
  /**
   * A monitor must not end, or be held, with the service that this server is. It gets so much of the
   * processors that a flood of lines waits in its dyno's pipe, and nobody else.
   */
  async function setMonitorApart(id: string): Promise<void> {
    const pid = monitorOf(bundleOf(id));
    if (pid === undefined) return;
    try {
      await moveToGroup(monitors, id, pid);
      await capProcessors(join(monitors, id), monitorTurn);
    } catch {
      // It may end at any moment.
    }
    await (monitorsCapped ??= capProcessors(monitors, monitorsTurn).catch(() => {
      monitorsCapped = undefined;
    }));
  }
  await Promise.all(readdirSync(bundles).map(setMonitorApart));

  const ends = watchExits(exits, {
    statusOf: (id) => readNumber(join(exits, id)),
    lookEveryMs: 1000,
  });
  /**
   * Until the program itself runs nobody takes a signal: what sets the container up does not, and
   * from a first process that has not asked for it (tini, in its first moment) the kernel keeps it.
   */
  function programRuns(id: string): boolean {
    const names = pidsOf(groupOf(id)).map((pid) => tryRead(`/proc/${pid}/comm`).trim());
    return names.some((name) => name !== "" && !/^(?:runc(?::.*)?|crun|exe|tini)$/.test(name));
  }

  async function destroy(id: string): Promise<void> {
    await exec(runtimeArgv("kill", "--all", id, "KILL"));
    await exec(runtimeArgv("delete", "--force", id));
    await monitorEnded(bundleOf(id));
    removeCgroup(join(monitors, id));
    rmSync(bundleOf(id), { recursive: true, force: true });
    rmSync(join(exits, id), { force: true });
    await network.release(id);
    ends.forget(id, 137);
  }

  enableProcessorChoice();
  /** Those that a processor is left to, while it is; at first it is not known what an earlier server has left. */
  let asked: ReadonlySet<string> | null | undefined;
  /** Programs measure themselves for good by the processors that they find at their start. */
  const young = new Set<string>();
  function giveProcessors(id: string): void {
    if (young.has(id)) return;
    const all = processorsOf(host.cgroupParent);
    const now = processorsOf(groupOf(id));
    const fewer = asked && !asked.has(id) ? all.slice(0, -1) : [];
    const wanted = fewer.length > 0 ? fewer : all;
    if (now.length === 0 || now.join() === wanted.join()) return;
    try {
      chooseProcessors(host.cgroupParent, id, wanted === all ? "all" : wanted);
    } catch {
      // It may end at any moment.
    }
  }
  function growUp({ id, openPort: port }: ContainerSpec): void {
    young.add(id);
    const grown = setInterval(() => {
      // What starts slowly is not there yet.
      if (existsSync(bundleOf(id)) && containerPid(id) === undefined) return;
      clearInterval(grown);
      young.delete(id);
      if (port === null) giveProcessors(id);
    }, youthMs);
    grown.unref();
  }

  const lastStats = new Map<string, ContainerStats>();
  /** The attached ones, and whether they were killed: of one that is killed before it runs the runtime ends with 1. */
  const wasKilled = new Map<string, boolean>();
  async function cleanedUp(exited: Promise<number>, id: string): Promise<number> {
    try {
      const status = await exited;
      return status === 1 && wasKilled.get(id) ? 137 : status;
    } finally {
      wasKilled.delete(id);
      const stats = readStats(groupOf(id));
      if (stats) lastStats.set(id, stats);
      setTimeout(() => lastStats.delete(id), lastStatsMs).unref();
      await destroy(id);
    }
  }

  const runtime: OciRuntime = {
    network,
    async start(spec, { logPath }) {
      const bundle = writeBundle(spec);
      const opened = openPort(spec);
      const monitored = { id: spec.id, bundle, exits, program, state, logPath };
      const pid = await startMonitor(monitored).catch(async (error: Error) => {
        await destroy(spec.id);
        throw new Error(`cannot make container ${spec.id}: ${error.message}`);
      });
      giveStreams(pid, userOf(spec));
      growUp(spec);
      // Whoever is reached by a port is waited for.
      if (spec.openPort !== null) answerPromptly(pid);
      const [started] = await Promise.all([
        exec(runtimeArgv("start", spec.id)),
        setMonitorApart(spec.id),
      ]);
      if (started.exitCode !== 0) {
        await destroy(spec.id);
        throw new Error(`cannot start container ${spec.id}: ${started.stderr.trim()}`);
      }
      try {
        await opened;
      } catch (error) {
        await destroy(spec.id);
        throw error;
      }
      return { id: spec.id, pid };
    },
    attach(spec, options) {
      const bundle = writeBundle(spec);
      wasKilled.set(spec.id, false);
      void openPort(spec);
      growUp(spec);
      const pidFile = ["--pid-file", join(bundle, "pid")];
      const argv = runtimeArgv("run", ...runOptions, ...pidFile, "--bundle", bundle, spec.id);
      const { processEnded: _, ...attached } = attachTo(argv, spec.terminal, {
        ...{ ...options, folder: bundle, ownerId: userOf(spec), relays: true },
      });
      return { ...attached, exited: cleanedUp(attached.exited, spec.id) };
    },
    exec(id, added, options) {
      const name = join(bundleOf(id), `exec-${crypto.randomUUID()}`);
      const [pidFile, processFile] = [`${name}.pid`, `${name}.json`];
      if (!existsSync(bundleOf(id))) return refused(`container ${id} does not exist`);
      writeFileSync(processFile, JSON.stringify(ociProcess(added)), { mode: 0o600 });
      const argv = runtimeArgv("exec", "--process", processFile, "--pid-file", pidFile, id);
      const gate = startGate(pidFile, (bytes) => options.output(bytes));
      const { processEnded, ...attached } = attachTo(argv, added.terminal, {
        ...{ ...gate, folder: bundleOf(id), ownerId: mappedUser(bundleOf(id)), relays: true },
      });
      void processEnded.then(gate.end);
      async function exited(): Promise<number> {
        const status = await attached.exited;
        const complaint = await gate.complaint();
        for (const file of [processFile, pidFile]) rmSync(file, { force: true });
        if (complaint === null) return status;
        throw new Error(`cannot run ${added.argv[0]} in container ${id}: ${complaint}`);
      }
      return { ...attached, exited: exited() };
    },
    stats: (id) => readStats(groupOf(id)) ?? lastStats.get(id),
    wait: (id) => ends.wait(id),
    async signal(id, signal) {
      const ended = () => !existsSync(bundleOf(id)) || existsSync(join(exits, id));
      if (signal === "KILL" && wasKilled.has(id)) wasKilled.set(id, true);
      // A container exists only some time after its runtime was started, its program later still;
      // a program that bears one of the other names has its signal after a second.
      for (let tries = 0; tries < 200 && !ended(); tries++) {
        if (signal === "KILL" || tries > 40 || programRuns(id)) {
          const { exitCode } = await exec(runtimeArgv("kill", "--all", id, signal));
          if (exitCode === 0) return;
        }
        await Bun.sleep(25);
      }
    },
    destroy,
    async list() {
      const found = new Map<string, number | null>();
      for (const id of readdirSync(bundles)) found.set(id, null);
      const listing = await exec(runtimeArgv("list", "--format", "json"));
      const containers = (JSON.parse(listing.stdout || "[]") ?? []) as RuntimeListing[];
      for (const { id, pid, status } of containers)
        found.set(id, status === "running" ? pid : null);
      return found;
    },
    reserveAddress: (id) => network.reserve(id),
    addressOf: (id) => network.addressOf(id),
    async putFirst(routerPids) {
      const group = `${host.cgroupParent}/router`;
      for (const pid of routerPids) {
        if (tryRead(`/proc/${pid}/cgroup`).includes(`:${group}\n`)) continue;
        try {
          await moveToGroup(host.cgroupParent, "router", pid);
          await weighGroup(group, routerWeight);
        } catch {
          // It may end at any moment.
        }
      }
    },
    leaveProcessorTo(ids) {
      if (ids === null && asked === null) return;
      asked = ids;
      readdirSync(bundles).forEach(giveProcessors);
    },
    close() {
      ends.close();
      young.clear();
      // Nobody looks any more when they may have all again.
      runtime.leaveProcessorTo(null);
    },
    async remove() {
      await network.remove();
      removeCgroup(host.cgroupParent);
      rmSync(runDir, { recursive: true, force: true });
    },
  };
  await findOciProgram((candidate, options) => {
    [program, runOptions] = [candidate, options];
    return runtime;
  });
  return runtime;
}

interface RuntimeListing {
  id: string;
  pid: number;
  status: string;
}

/** The host's id of the user that programs in a container run as. */
function userOf({ hostIdBase }: Pick<ContainerSpec, "hostIdBase">): number {
  return hostIdBase + containerUser.uid;
}

/** The same, of a container that runs. */
function mappedUser(bundle: string): number {
  const { linux } = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as {
    linux: { uidMappings: [{ hostID: number }] };
  };
  return userOf({ hostIdBase: linux.uidMappings[0].hostID });
}

/** Writes a file that others may read and that never changes; returns its path. */
function writeOnce(path: string, text: string): string {
  if (!existsSync(path)) {
    writeFileSync(`${path}.new`, text, { mode: 0o644 });
    renameSync(`${path}.new`, path);
  }
  return path;
}
