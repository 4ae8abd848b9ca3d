import { pidExists } from "../lib/process-table.ts";
import { logTime } from "../logs/log-line.ts";
import type { Logs, OutputIntake } from "../logs/logs.ts";
import type { App } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import { deleteDyno, type Dyno, dynoName, type DynoState, updateDyno } from "../model/dyno.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { ChecksumError } from "../slug/slug-store.ts";
import { type ContainerContext, outputPath, prepareContainer } from "./dyno-container.ts";
import type { OpenedRelease } from "./opened-release.ts";
import { listeners, whyNotReachable } from "./listening.ts";
import { MemoryWatch } from "./memory.ts";
import { tailOutput } from "./output-tail.ts";
import { crashesInARow, cycleAtMs, restartDelayMs } from "./restart-policy.ts";

export interface DynoContext extends ContainerContext {
  database: Database;
  logs: Logs;
  bootTimeoutMs: number;
  stopTimeoutMs: number;
}

/** A monitor writes the exit status down at once. */
const exitIsToldWithinMs = 3000;

export type Settled = { up: true } | { up: false; reason: string };

/** A dyno under a monitor of its own: starting → up → crashed, down or, a one-off, complete. */
export class LiveDyno {
  readonly settled: Promise<Settled>;
  readonly ended: Promise<void>;
  readonly app: App;
  readonly dyno: Dyno;
  address = "";
  /** It gets no requests until the whole release is up. */
  waiting = false;
  /** Another dyno bears its name now: what becomes of this one is not what becomes of the name. */
  replaced = false;
  /** When it is cycled. */
  cycleAtMs: number;
  /** Its processes have been told to end, and are not to be started again. */
  stopping = false;
  readonly #context: DynoContext;
  readonly #memory: MemoryWatch;
  readonly #settle: (settled: Settled) => void;
  readonly #end: () => void;
  /** Told when the dyno goes up or ends. */
  readonly #changed: (dyno: LiveDyno) => void;
  /** Its container is there, or will never be: before that nothing takes a signal. */
  readonly #begun = Promise.withResolvers<void>();
  #pid = 0;
  #tail: ReturnType<typeof tailOutput> | undefined;
  #intake: OutputIntake | undefined;
  #startedAt = Date.now();
  #upAt = 0;
  #goneSince: number | undefined;
  #bootProblem: string | undefined;
  #kicked = false;

  constructor(context: DynoContext, app: App, dyno: Dyno, changed: (dyno: LiveDyno) => void) {
    this.#context = context;
    this.app = app;
    this.dyno = dyno;
    this.cycleAtMs = cycleAtMs(dyno);
    this.#memory = new MemoryWatch(context, dyno, (line) => this.log(line));
    this.#changed = changed;
    const settled = Promise.withResolvers<Settled>();
    const ended = Promise.withResolvers<void>();
    this.settled = settled.promise;
    this.#settle = settled.resolve;
    this.ended = ended.promise;
    this.#end = ended.resolve;
  }

  get name(): string {
    return dynoName(this.dyno);
  }

  get state(): DynoState {
    return this.dyno.state;
  }

  /** Whether the router may send it requests. */
  get takesRequests(): boolean {
    return this.state === "up" && !this.waiting && !this.stopping && !this.#kicked;
  }

  /** Whether there is no container any more. */
  get hasEnded(): boolean {
    return this.state === "crashed" || this.state === "down";
  }

  /** Makes the container and waits for nothing more: `settled` tells how it went. */
  async start(opening: Promise<OpenedRelease>, before?: DynoState): Promise<void> {
    const { runtime } = this.#context;
    if (before !== undefined && before !== "starting")
      this.log(`State changed from ${before} to starting`);
    this.log(`Starting process with command \`${this.dyno.command}\``);
    try {
      const spec = await prepareContainer(this.#context, this.app, {
        ...{ dyno: this.dyno, opened: await opening, terminal: null },
      });
      this.address = spec.network?.containerAddress ?? "";
      const { pid } = await runtime.start(spec, { logPath: this.#logPath });
      this.#pid = pid;
    } catch (error) {
      const { message } = error as Error;
      this.log(
        error instanceof ChecksumError
          ? `Error R17 (Checksum error) -> Checksum does match expected value. Expected: SHA256:${error.expected} Actual: SHA256:${error.actual}`
          : `Error R99 (Platform error) -> Failed to launch the dyno: ${message}`,
      );
      await this.#finish(1, message);
      return;
    } finally {
      this.#begun.resolve();
    }
    this.#startedAt = Date.now();
    this.#follow();
    void this.#awaitUp();
  }

  /** Takes over a container that an earlier server has started (same pid, same address), or its end. */
  recover(pid: number | null): void {
    this.#pid = pid ?? 0;
    this.#begun.resolve();
    this.address = this.#context.runtime.addressOf(this.dyno.id)?.containerAddress ?? "";
    this.#startedAt = this.dyno.createdAt.getTime();
    this.#upAt = this.dyno.updatedAt.getTime();
    this.#follow();
    // It ended meanwhile and its status is there, or the server died before it had begun.
    if (pid === null) setTimeout(() => this.#giveUp(), exitIsToldWithinMs);
    if (this.state === "up") this.#settle({ up: true });
    else if (pid !== null) void this.#awaitUp();
  }

  /** SIGTERM to all, 30 s, SIGKILL (contract §1.10); resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.hasEnded) return;
    if (!this.stopping) {
      this.stopping = true;
      if (!this.replaced && this.dyno.kind === "formation")
        this.log(`State changed from ${this.state} to down`);
      await this.#endProcesses();
    }
    return this.ended;
  }

  /** Ends its processes as if they had ended by themselves: it is started again (contract §1.9). */
  async kick(): Promise<void> {
    if (this.hasEnded) return;
    this.#kicked = true;
    this.#changed(this);
    updateDyno(this.#context.database, this.dyno, { crashes: 0 });
    await this.#endProcesses();
  }

  async #endProcesses(): Promise<void> {
    const { runtime, stopTimeoutMs } = this.#context;
    await this.#begun.promise;
    await endProcesses({
      ...{ runtime, stopTimeoutMs, id: this.dyno.id, ended: this.ended },
      log: (message) => this.log(message),
    });
  }

  /** Lets go of the dyno without touching it: the server stops, the dyno goes on. */
  detach(): void {
    this.#tail?.close();
  }

  log(message: string): void {
    tellOfDyno(this.#context.logs, this.app, { name: this.name, message });
  }

  /** The one whose name another has taken in vain speaks for the name again. */
  standIn(said: DynoState): void {
    this.replaced = false;
    if (said !== this.state) this.log(`State changed from ${said} to ${this.state}`);
  }

  watchMemory(now: number): void {
    if (!this.hasEnded) void this.#memory.look(now);
  }

  /** Ends a dyno whose processes are gone without anybody having told so: its monitor was killed. */
  watchLife(now: number): void {
    if (this.hasEnded || this.#pid === 0 || pidExists(this.#pid)) return;
    this.#goneSince ??= now;
    if (now - this.#goneSince > exitIsToldWithinMs) this.#giveUp();
  }

  /** Its end is told to all who wait for it. */
  #giveUp(): void {
    if (!this.hasEnded) void this.#context.runtime.destroy(this.dyno.id);
  }

  get #logPath(): string {
    return outputPath(this.#context, this.dyno);
  }

  #follow(): void {
    const { id } = this.dyno;
    const intake = this.#context.logs.intake(this.app.id, { id, dyno: this.name });
    this.#intake = intake;
    this.#tail = tailOutput(this.#logPath, intake);
    void this.#context.runtime.wait(this.dyno.id).then((status) => this.#finish(status));
  }

  /** A web dyno is up when it listens on $PORT, any other one when it runs (contract §1.6). */
  async #awaitUp(): Promise<void> {
    if (this.dyno.kind === "formation" && this.dyno.type === "web") {
      const deadline = this.#startedAt + this.#context.bootTimeoutMs;
      while (this.state === "starting" && !this.#listens()) {
        if (Date.now() > deadline) return this.#bootTimedOut();
        await Bun.sleep(15);
      }
    }
    if (this.state !== "starting") return;
    this.#upAt = Date.now();
    this.#become("up");
    this.#settle({ up: true });
    this.#changed(this);
  }

  #listens(): boolean {
    return listeners(this.#pid).some(
      ({ address, port }) => port === this.dyno.port && address !== "loopback",
    );
  }

  async #bootTimedOut(): Promise<void> {
    const seconds = Math.round(this.#context.bootTimeoutMs / 1000);
    const why = whyNotReachable(listeners(this.#pid), this.dyno.port);
    this.#bootProblem = `${why} after ${seconds} s`;
    this.log(
      `Error R10 (Boot timeout) -> Web process failed to bind to $PORT within ${seconds} seconds of launch`,
    );
    this.log(`What was seen: ${why}`);
    this.log("Stopping process with SIGKILL");
    await this.#context.runtime.signal(this.dyno.id, "KILL");
  }

  #become(state: DynoState): void {
    if (state === this.state) return;
    if (!this.replaced) this.log(`State changed from ${this.state} to ${state}`);
    updateDyno(this.#context.database, this.dyno, { state });
  }

  /** Whatever the store says to it (its disk may be full): the dyno has ended, and all are told. */
  async #finish(status: number, problem?: string): Promise<void> {
    const reason = problem ?? this.#bootProblem ?? `the process exited with status ${status}`;
    const { database, runtime, disks } = this.#context;
    const gone = this.stopping || this.dyno.leaving || this.dyno.kind !== "formation";
    try {
      await this.#tail?.caughtUp();
      this.#tail?.close();
      this.#intake?.end();
      this.#memory.tellOfKills();
      this.log(`Process exited with status ${status}`);
      await runtime.destroy(this.dyno.id);
      await disks.remove(this.dyno.id);
      if (this.dyno.kind !== "formation") this.log(`State changed from ${this.state} to complete`);
      else if (!gone) this.#crash();
      if (gone) deleteDyno(database, this.dyno.id);
    } finally {
      this.dyno.state = gone ? "down" : "crashed";
      this.#settle({ up: false, reason });
      this.#end();
      this.#changed(this);
    }
  }

  /** Written down with the time of the next start: it stays so when this server dies. */
  #crash(): void {
    const crashes = crashesInARow(this.dyno.crashes, this.#upAt > 0 ? Date.now() - this.#upAt : 0);
    const retryAt = new Date(Date.now() + restartDelayMs(crashes));
    updateDyno(this.#context.database, this.dyno, { crashes, retryAt });
    this.#become("crashed");
  }
}

/** What the platform says of a dyno. */
export function tellOfDyno(
  logs: Logs,
  app: App,
  { name, message }: { name: string; message: string },
): void {
  logs.write(app.id, { at: logTime(), source: "heroku", dyno: name, message });
}

/** SIGTERM to all processes of a container, some time, R12 and SIGKILL (contract §1.10). */
export async function endProcesses(options: {
  runtime: Runtime;
  id: string;
  ended: Promise<unknown>;
  stopTimeoutMs: number;
  log: (message: string) => void;
}): Promise<void> {
  const { runtime, id, ended, stopTimeoutMs, log } = options;
  log("Stopping all processes with SIGTERM");
  await runtime.signal(id, "TERM");
  const late = await Promise.race([
    ended.then(() => false),
    Bun.sleep(stopTimeoutMs).then(() => true),
  ]);
  if (!late) return;
  log(
    `Error R12 (Exit timeout) -> At least one process failed to exit within ${stopTimeoutMs / 1000} seconds of SIGTERM`,
  );
  log("Stopping all processes with SIGKILL");
  await runtime.signal(id, "KILL");
  await ended;
}
