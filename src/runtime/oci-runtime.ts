import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Argv, exec, spawn } from "../lib/exec.ts";
import { accountsSwap, moveToGroup, readStats, removeCgroup, unifiedCgroups } from "./cgroup.ts";
import { createNetwork, type Network, networkHookScript } from "./network.ts";
import { ociConfig, ociProcess, sysFolders } from "./oci-config.ts";
import { writeRootfs } from "./rootfs.ts";
import type {
  AttachedContainer,
  ContainerSpec,
  ContainerStats,
  Runtime,
  TerminalSize,
} from "./runtime.ts";

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
  /** Stops watching; containers go on. */
  close(): void;
  /** Removes what is shared by all containers, when none is left: firewall table, cgroups, folders. */
  remove(): Promise<void>;
}

const monitorTimeoutMs = 20_000;
/** In a bundle: the port that is open, for the server that comes after this one. */
const portFile = "open-port";
/** How long the last figures of an attached container are remembered: its caller asks after its end. */
const lastStatsMs = 60_000;
/** Bytes of output on disk before the monitor begins its file anew. */
const maxLogBytes = 64 * 1024 * 1024;

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

  /** A monitor must not end, or be held, with the service that this server is. */
  async function setMonitorApart(id: string): Promise<void> {
    const pid = readNumber(join(bundleOf(id), "conmon.pid"));
    if (pid !== undefined && isMonitor(pid))
      // It may end at any moment.
      await moveToGroup(`${host.cgroupParent}/monitors`, pid).catch(() => {});
  }
  await Promise.all(readdirSync(bundles).map(setMonitorApart));

  const waiters = new Map<string, { promise: Promise<number>; resolve(status: number): void }>();
  function waiter(id: string) {
    let entry = waiters.get(id);
    if (!entry) {
      entry = Promise.withResolvers<number>();
      waiters.set(id, entry);
    }
    return entry;
  }
  function noticeExit(id: string): void {
    const status = readExit(join(exits, id));
    if (status !== undefined) waiter(id).resolve(status);
  }
  // The kernel may drop notifications, so the folder is also read now and then.
  const watcher = watch(exits, (_, name) => {
    if (name && waiters.has(name)) noticeExit(name);
  });
  const poll = setInterval(() => {
    for (const id of waiters.keys()) noticeExit(id);
  }, 1000);
  poll.unref();

  async function destroy(id: string): Promise<void> {
    await exec(runtimeArgv("kill", "--all", id, "KILL"));
    await exec(runtimeArgv("delete", "--force", id));
    const monitor = readNumber(join(bundleOf(id), "conmon.pid"));
    if (monitor !== undefined) await ended(monitor);
    rmSync(bundleOf(id), { recursive: true, force: true });
    rmSync(join(exits, id), { force: true });
    await network.release(id);
    waiter(id).resolve(137);
    waiters.delete(id);
  }

  const lastStats = new Map<string, ContainerStats>();
  async function cleanedUp(exited: Promise<number>, id: string): Promise<number> {
    try {
      return await exited;
    } finally {
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
      const sync = join(bundle, "sync");
      writeFileSync(sync, "", { mode: 0o600 });
      const pidFile = join(bundle, "pid");
      const opened = openPort(spec);
      const child = spawn(
        [
          "conmon",
          ...["--api-version", "1", "--cid", spec.id, "--cuuid", spec.id, "--name", spec.id],
          ...["--runtime", program, "--runtime-arg", "--root", "--runtime-arg", state],
          ...["--bundle", bundle, "--persist-dir", bundle, "--exit-dir", exits],
          ...["--container-pidfile", pidFile, "--conmon-pidfile", join(bundle, "conmon.pid")],
          ...["--log-path", `k8s-file:${logPath}`, "--log-size-max", String(maxLogBytes)],
          ...["--log-level", "error", "--full-attach"],
        ],
        {
          env: {
            PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
            XDG_RUNTIME_DIR: runDir,
            _OCI_SYNCPIPE: "3",
          },
          stdio: ["ignore", "ignore", "ignore", Bun.file(sync)],
        } as never,
      );
      await child.exited;
      const { pid, message } = await readSync(sync);
      if (pid <= 0) {
        await destroy(spec.id);
        throw new Error(`cannot make container ${spec.id}: ${message ?? "the monitor ended"}`);
      }
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
      void openPort(spec);
      const pidFile = ["--pid-file", join(bundle, "pid")];
      const argv = runtimeArgv("run", ...runOptions, ...pidFile, "--bundle", bundle, spec.id);
      const { processEnded: _, ...attached } = attachTo(argv, spec.terminal, options);
      return { ...attached, exited: cleanedUp(attached.exited, spec.id) };
    },
    exec(id, added, options) {
      const name = join(bundleOf(id), `exec-${crypto.randomUUID()}`);
      const [pidFile, processFile] = [`${name}.pid`, `${name}.json`];
      if (!existsSync(bundleOf(id))) return refused(`container ${id} does not exist`);
      writeFileSync(processFile, JSON.stringify(ociProcess(added)), { mode: 0o600 });
      const argv = runtimeArgv("exec", "--process", processFile, "--pid-file", pidFile, id);
      const gate = startGate(pidFile, (bytes) => options.output(bytes));
      const { processEnded, ...attached } = attachTo(argv, added.terminal, gate);
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
    wait(id) {
      const { promise } = waiter(id);
      noticeExit(id);
      return promise;
    },
    async signal(id, signal) {
      await exec(runtimeArgv("kill", "--all", id, signal));
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
    close() {
      clearInterval(poll);
      watcher.close();
    },
    async remove() {
      await network.remove();
      removeCgroup(host.cgroupParent);
      rmSync(runDir, { recursive: true, force: true });
    },
  };
  await findProgram(async (candidate, options) => {
    [program, runOptions] = [candidate, options];
    return tryOut(runtime);
  });
  return runtime;
}

interface RuntimeListing {
  id: string;
  pid: number;
  status: string;
}

/**
 * crun starts faster but refuses hybrid cgroup hierarchies; what works is found by trying. One whose
 * `run` knows no `--keep` comes last: an attached container's figures would be gone with its end, and
 * programs of that age (crun 1.8) do not hand on a terminal's new size.
 */
async function findProgram(
  tryProgram: (path: string, runOptions: string[]) => Promise<string | null>,
): Promise<void> {
  const complaints: string[] = [];
  for (const runOptions of [["--keep"], []])
    for (const name of ["crun", "runc"]) {
      const program = Bun.which(name, {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
      });
      const complaint = program ? await tryProgram(program, runOptions) : "not installed";
      if (program && complaint === null) return;
      complaints.push(`${[name, ...runOptions].join(" ")}: ${complaint}`);
    }
  throw new Error(`no container runtime works on this machine: ${complaints.join("; ")}`);
}

/** Runs `true` in a container; returns what went wrong, or null. */
async function tryOut(runtime: Runtime): Promise<string | null> {
  let said = "";
  const attached = runtime.attach(
    {
      id: `try-${crypto.randomUUID()}`,
      hostname: "try",
      argv: ["/usr/bin/true"],
      environment: {},
      workingDirectory: "/",
      hostIdBase: 0x7000_0000,
      mounts: [],
      limits: { memoryBytes: 64 * 1024 * 1024, cpuWeight: 100, maxProcesses: 32 },
      terminal: null,
      network: null,
      openPort: null,
    },
    {
      output(bytes) {
        said += new TextDecoder().decode(bytes);
      },
    },
  );
  const status = await attached.exited;
  return status === 0 ? null : said.trim() || `status ${status}`;
}

type Output = (bytes: Uint8Array) => void | Promise<void>;

/**
 * Tells the words of a program from those of the runtime that could not start it: what comes before
 * the file with the program's pid is there is held, and is a complaint when it never comes.
 */
function startGate(pidFile: string, output: Output) {
  let ended = false;
  let held = "";
  const started = (async () => {
    while (!ended && !existsSync(pidFile)) await Bun.sleep(3);
    return existsSync(pidFile);
  })();
  return {
    async output(bytes: Uint8Array): Promise<void> {
      if (await started) await output(bytes);
      else held += new TextDecoder().decode(bytes);
    },
    /** The runtime has ended: no pid will come any more. */
    end: () => void (ended = true),
    /** What the runtime complained of; `null`: the program ran. */
    async complaint(): Promise<string | null> {
      return (await started) ? null : held.trim() || "the runtime says nothing";
    },
  };
}

/** An attached program that was never started. */
function refused(reason: string): AttachedContainer {
  const nothing = () => {};
  return {
    exited: Promise.reject(new Error(reason)),
    ...{ write: nothing, endInput: nothing, resize: nothing },
  };
}

/** Writes a file that others may read and that never changes; returns its path. */
function writeOnce(path: string, text: string): string {
  if (!existsSync(path)) {
    writeFileSync(`${path}.new`, text, { mode: 0o644 });
    renameSync(`${path}.new`, path);
  }
  return path;
}

/** `processEnded` comes before `exited`, which waits for the output. */
type AttachedProcess = AttachedContainer & { processEnded: Promise<unknown> };

function attachTo(
  argv: Argv,
  terminal: TerminalSize | null,
  { output }: { output: Output },
): AttachedProcess {
  return terminal ? attachTerminal(argv, { output, terminal }) : attachPipes(argv, output);
}

function attachPipes(argv: Argv, output: Output): AttachedProcess {
  const child = spawnWithPipes(argv);
  const drained = Promise.all([drain(child.stdout, output), drain(child.stderr, output)]);
  return {
    processEnded: child.exited,
    exited: drained.then(() => child.exited),
    async write(bytes) {
      try {
        await child.stdin.write(bytes);
        await child.stdin.flush();
      } catch (error) {
        // It reads no more, or has ended: what it did not want is dropped.
        if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
      }
    },
    endInput: () => void child.stdin.end(),
    resize: () => {},
  };
}

function spawnWithPipes(argv: Argv) {
  return spawn<"pipe", "pipe", "pipe">(argv, { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
}

async function drain(stream: ReadableStream<Uint8Array>, output: Output): Promise<void> {
  for await (const bytes of stream) await output(bytes);
}

const endOfTransmission = new Uint8Array([4]);

function attachTerminal(
  argv: Argv,
  options: { output: Output; terminal: TerminalSize },
): AttachedProcess {
  const child = spawn(argv, {
    terminal: {
      cols: options.terminal.columns,
      rows: options.terminal.lines,
      // The terminal's buffer is used again.
      data: (_: unknown, bytes: Uint8Array) => void options.output(bytes.slice()),
    },
  } as never) as unknown as {
    exited: Promise<number>;
    terminal: {
      write(bytes: Uint8Array): void;
      resize(columns: number, lines: number): void;
      close(): void;
    };
  };
  let open = true;
  const whileOpen = (act: () => void) => {
    if (open) act();
  };
  return {
    processEnded: child.exited,
    exited: child.exited.finally(() => {
      open = false;
      child.terminal.close();
    }),
    write: (bytes) => whileOpen(() => child.terminal.write(bytes)),
    endInput: () => whileOpen(() => child.terminal.write(endOfTransmission)),
    resize: ({ columns, lines }) => whileOpen(() => child.terminal.resize(columns, lines)),
  };
}

/** The monitor says one JSON line when the container is made, or why it is not. */
async function readSync(path: string): Promise<{ pid: number; message?: string }> {
  const deadline = Date.now() + monitorTimeoutMs;
  for (;;) {
    const text = readFileSync(path, "utf8");
    if (text.includes("\n")) {
      const line = JSON.parse(text.split("\n")[0] as string) as {
        pid?: number;
        data?: number;
        message?: string;
      };
      return {
        pid: line.pid ?? line.data ?? -1,
        ...(line.message ? { message: line.message } : {}),
      };
    }
    if (Date.now() > deadline)
      return { pid: -1, message: `the monitor said nothing for ${monitorTimeoutMs / 1000} s` };
    await Bun.sleep(2);
  }
}

function readExit(path: string): number | undefined {
  return existsSync(path) ? readNumber(path) : undefined;
}

function readNumber(path: string): number | undefined {
  try {
    const number = Number.parseInt(readFileSync(path, "utf8"), 10);
    return Number.isNaN(number) ? undefined : number;
  } catch {
    return undefined;
  }
}

/** Waits a little for a monitor whose container is gone. A zombie has ended: init reaps it when it likes. */
async function ended(pid: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (!isMonitor(pid)) return;
    await Bun.sleep(5);
  }
}

function isMonitor(pid: number): boolean {
  const status = tryRead(`/proc/${pid}/status`);
  return /^Name:\s+conmon$/m.test(status) && !/^State:\s+Z/m.test(status);
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
