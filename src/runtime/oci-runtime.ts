import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  watch,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Argv, exec, spawn } from "../lib/exec.ts";
import { createNetwork, type Network, networkHookScript } from "./network.ts";
import { ociConfig } from "./oci-config.ts";
import { writeRootfs } from "./rootfs.ts";
import type { AttachedContainer, ContainerSpec, Runtime, TerminalSize } from "./runtime.ts";

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
/** Bytes of output on disk before the monitor begins its file anew. */
const maxLogBytes = 64 * 1024 * 1024;

/** Containers by runc or crun, each under a conmon of its own. */
export async function createOciRuntime(options: OciRuntimeOptions): Promise<OciRuntime> {
  const { runDir, rootfs, instance } = options;
  const bundles = join(runDir, "containers");
  const exits = join(runDir, "exits");
  const state = join(runDir, "runtime");
  for (const dir of [bundles, exits, state]) mkdirSync(dir, { recursive: true, mode: 0o711 });
  chmodSync(state, 0o700);
  writeRootfs(rootfs);
  const networkHook = join(runDir, "network-hook");
  writeFileSync(networkHook, networkHookScript);
  const network = createNetwork(instance, options.addressesDir);
  const host = { rootfs, networkHook, cgroupParent: `/stator-${instance}` };
  let program = "";

  const runtimeArgv = (...args: string[]): Argv => [program, "--root", state, ...args];
  const bundleOf = (id: string) => join(bundles, id);

  function writeBundle(spec: ContainerSpec): string {
    const bundle = bundleOf(spec.id);
    mkdirSync(bundle, { recursive: true, mode: 0o700 });
    const config = JSON.stringify(ociConfig(spec, host));
    writeFileSync(join(bundle, "config.json"), config, { mode: 0o600 });
    return bundle;
  }

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

  const attachedIds = new Set<string>();

  async function destroy(id: string): Promise<void> {
    await exec(runtimeArgv("kill", "--all", id, "KILL"));
    await exec(runtimeArgv("delete", "--force", id));
    const monitor = readNumber(join(bundleOf(id), "conmon.pid"));
    if (monitor !== undefined) await ended(monitor);
    rmSync(bundleOf(id), { recursive: true, force: true });
    rmSync(join(exits, id), { force: true });
    network.release(id);
    waiter(id).resolve(137);
    waiters.delete(id);
  }

  async function cleanedUp(exited: Promise<number>, id: string): Promise<number> {
    try {
      return await exited;
    } finally {
      attachedIds.delete(id);
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
      const started = await exec(runtimeArgv("start", spec.id));
      if (started.exitCode !== 0) {
        await destroy(spec.id);
        throw new Error(`cannot start container ${spec.id}: ${started.stderr.trim()}`);
      }
      return { id: spec.id, pid };
    },
    attach(spec, options) {
      const argv = runtimeArgv("run", "--bundle", writeBundle(spec), spec.id);
      const attached = attachTo(argv, spec.terminal, options);
      attachedIds.add(spec.id);
      return { ...attached, exited: cleanedUp(attached.exited, spec.id) };
    },
    exec() {
      throw new Error("not yet");
    },
    stats: () => undefined,
    wait(id) {
      const { promise } = waiter(id);
      noticeExit(id);
      return promise;
    },
    async signal(id, signal) {
      // An attached container exists only some time after its runtime was started.
      for (let tries = 0; tries < 200; tries++) {
        const { exitCode } = await exec(runtimeArgv("kill", "--all", id, signal));
        if (exitCode === 0 || !attachedIds.has(id)) return;
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
    close() {
      clearInterval(poll);
      watcher.close();
    },
    async remove() {
      await network.remove();
      for (const hierarchy of ["", ...readdirSync(cgroupRoot)])
        removeCgroup(join(cgroupRoot, hierarchy, host.cgroupParent));
      rmSync(runDir, { recursive: true, force: true });
    },
  };
  program = await findProgram(async (candidate) => {
    program = candidate;
    return tryOut(runtime);
  });
  return runtime;
}

const cgroupRoot = "/sys/fs/cgroup";

function removeCgroup(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  try {
    rmdirSync(path);
  } catch {
    // Processes of another owner are in it: it is not ours to remove.
  }
}

interface RuntimeListing {
  id: string;
  pid: number;
  status: string;
}

/** crun starts faster but refuses hybrid cgroup hierarchies; what works is found by trying. */
async function findProgram(tryProgram: (path: string) => Promise<string | null>): Promise<string> {
  const complaints: string[] = [];
  for (const name of ["crun", "runc"]) {
    const path = Bun.which(name, { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin" });
    const complaint = path ? await tryProgram(path) : "not installed";
    if (path && complaint === null) return path;
    complaints.push(`${name}: ${complaint}`);
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

function attachTo(
  argv: Argv,
  terminal: TerminalSize | null,
  { output }: { output: Output },
): AttachedContainer {
  return terminal ? attachTerminal(argv, { output, terminal }) : attachPipes(argv, output);
}

function attachPipes(argv: Argv, output: Output): AttachedContainer {
  const child = spawnWithPipes(argv);
  const drained = Promise.all([drain(child.stdout, output), drain(child.stderr, output)]);
  return {
    exited: drained.then(() => child.exited),
    async write(bytes) {
      await child.stdin.write(bytes);
      await child.stdin.flush();
    },
    endInput: () => void child.stdin.end(),
    resize: () => {},
    hangUp: () => child.kill("SIGHUP"),
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
): AttachedContainer {
  const child = spawn(argv, {
    terminal: {
      cols: options.terminal.columns,
      rows: options.terminal.lines,
      // The terminal's buffer is used again.
      data: (_: unknown, bytes: Uint8Array) => void options.output(bytes.slice()),
    },
  } as never) as unknown as {
    exited: Promise<number>;
    kill(signal: "SIGHUP"): void;
    terminal: {
      write(bytes: Uint8Array): void;
      resize(columns: number, lines: number): void;
      close(): void;
    };
  };
  return {
    exited: child.exited.finally(() => child.terminal.close()),
    write: (bytes) => child.terminal.write(bytes),
    endInput: () => child.terminal.write(endOfTransmission),
    resize: ({ columns, lines }) => child.terminal.resize(columns, lines),
    hangUp: () => child.kill("SIGHUP"),
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
    const status = tryRead(`/proc/${pid}/status`);
    if (!/^Name:\s+conmon$/m.test(status) || /^State:\s+Z/m.test(status)) return;
    await Bun.sleep(5);
  }
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
