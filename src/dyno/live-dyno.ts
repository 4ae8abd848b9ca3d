import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../lib/exec.ts";
import { giveTo } from "../lib/give-to.ts";
import { hostIdBase, hostUserId } from "../lib/id-range.ts";
import { logTime } from "../logs/log-line.ts";
import type { Logs } from "../logs/logs.ts";
import type { App } from "../model/app.ts";
import type { ConfigVars } from "../model/config-vars.ts";
import type { Database } from "../model/database.ts";
import { deleteDyno, type Dyno, dynoName, type DynoState, updateDyno } from "../model/dyno.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type DynoFolders, dynoSpec } from "./dyno-spec.ts";
import { listeners, whyNotReachable } from "./listening.ts";
import { tailOutput } from "./output-tail.ts";

export interface DynoContext {
  database: Database;
  logs: Logs;
  runtime: Runtime;
  /** One folder a dyno; passable for the containers' users. */
  dynosDir: string;
  bootTimeoutMs: number;
  stopTimeoutMs: number;
}

export type Settled = { up: true } | { up: false; reason: string };

/** A dyno of the formation with its container: starting → up → down or crashed. */
export class LiveDyno {
  readonly settled: Promise<Settled>;
  readonly ended: Promise<void>;
  state: DynoState = "starting";
  stopping = false;
  address = "";
  readonly #context: DynoContext;
  readonly app: App;
  readonly dyno: Dyno;
  readonly #settle: (settled: Settled) => void;
  readonly #end: () => void;
  #pid = 0;
  #tail: ReturnType<typeof tailOutput> | undefined;
  #startedAt = Date.now();
  /** Told when the dyno goes up or ends. */
  readonly #changed: (dyno: LiveDyno) => void;

  constructor(context: DynoContext, app: App, dyno: Dyno, changed: (dyno: LiveDyno) => void) {
    this.#context = context;
    this.app = app;
    this.dyno = dyno;
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

  get upForMs(): number {
    return this.state === "up" ? Date.now() - this.#startedAt : 0;
  }

  /** Makes the container and waits for nothing: `settled` tells how it went. */
  async start(slugFolder: string, config: ConfigVars): Promise<void> {
    const { runtime } = this.#context;
    this.log(`Starting process with command \`${this.dyno.command}\``);
    try {
      const folders = makeDynoFolders(this.#context.dynosDir, this.app, this.dyno);
      const network = runtime.reserveAddress(this.dyno.id);
      this.address = network.containerAddress;
      const spec = dynoSpec({
        app: this.app,
        dyno: this.dyno,
        slugFolder,
        folders,
        config,
        environment: {},
        network,
        terminal: null,
      });
      const { pid } = await runtime.start(spec, { logPath: this.#logPath });
      this.#pid = pid;
    } catch (error) {
      this.log(
        `Error R99 (Platform error) -> Failed to launch the dyno: ${(error as Error).message}`,
      );
      await this.#finish(1, (error as Error).message);
      return;
    }
    this.#follow();
    void this.#awaitUp();
  }

  /** Takes over a container that an earlier server has started: same pid, same address. */
  recover(pid: number | null): void {
    this.#pid = pid ?? 0;
    this.address = this.#context.runtime.addressOf(this.dyno.id)?.containerAddress ?? "";
    this.#startedAt = this.dyno.createdAt.getTime();
    this.#follow();
    if (this.dyno.state === "up") {
      this.state = "up";
      this.#settle({ up: true });
    } else void this.#awaitUp();
  }

  /** SIGTERM to all, 30 s, SIGKILL (contract §1.10). */
  async stop(): Promise<void> {
    if (this.stopping) return this.ended;
    this.stopping = true;
    const { runtime, stopTimeoutMs } = this.#context;
    this.log("Stopping all processes with SIGTERM");
    await runtime.signal(this.dyno.id, "TERM");
    const late = await Promise.race([
      this.ended.then(() => false),
      Bun.sleep(stopTimeoutMs).then(() => true),
    ]);
    if (!late) return;
    this.log(
      `Error R12 (Exit timeout) -> At least one process failed to exit within ${stopTimeoutMs / 1000} seconds of SIGTERM`,
    );
    this.log("Stopping all processes with SIGKILL");
    await runtime.signal(this.dyno.id, "KILL");
    return this.ended;
  }

  /** Lets go of the dyno without touching it: the server stops, the dyno goes on. */
  detach(): void {
    this.#tail?.close();
  }

  log(message: string): void {
    this.#context.logs.write(this.app.id, {
      at: logTime(),
      source: "heroku",
      dyno: this.name,
      message,
    });
  }

  get #logPath(): string {
    return join(this.#context.dynosDir, this.dyno.id, "output");
  }

  #follow(): void {
    this.#tail = tailOutput(this.#logPath, (lines) => {
      for (const { at, text } of lines)
        this.#context.logs.write(this.app.id, {
          at,
          source: "app",
          dyno: this.name,
          message: text,
        });
    });
    void this.#context.runtime.wait(this.dyno.id).then((status) => this.#finish(status));
  }

  /** A web dyno is up when it listens on $PORT, any other one when it runs (contract §1.6). */
  async #awaitUp(): Promise<void> {
    if (this.dyno.type === "web") {
      const deadline = this.#startedAt + this.#context.bootTimeoutMs;
      while (this.state === "starting" && !this.#listens()) {
        if (Date.now() > deadline) return this.#bootTimedOut();
        await Bun.sleep(15);
      }
    }
    if (this.state !== "starting") return;
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
    this.log(
      `Error R10 (Boot timeout) -> Web process failed to bind to $PORT within ${seconds} seconds of launch`,
    );
    this.log(`What was seen: ${why}`);
    this.log("Stopping process with SIGKILL");
    this.#bootProblem = `${why} after ${seconds} s`;
    await this.#context.runtime.signal(this.dyno.id, "KILL");
  }
  #bootProblem: string | undefined;

  #become(state: DynoState): void {
    if (state === this.state) return;
    this.log(`State changed from ${this.state} to ${state}`);
    this.state = state;
    updateDyno(this.#context.database, this.dyno, { state });
  }

  /** Whatever the store says to it (its disk may be full): the dyno has ended, and all are told. */
  async #finish(status: number, problem?: string): Promise<void> {
    const reason = problem ?? this.#bootProblem ?? `the process exited with status ${status}`;
    const state = this.stopping ? "down" : "crashed";
    try {
      this.#tail?.close();
      this.log(`Process exited with status ${status}`);
      await this.#context.runtime.destroy(this.dyno.id);
      await removeDynoFolders(this.#context.dynosDir, this.dyno);
      this.#become(state);
      deleteDyno(this.#context.database, this.dyno.id);
    } finally {
      this.state = state;
      this.#settle({ up: false, reason });
      this.#end();
      this.#changed(this);
    }
  }
}

export function makeDynoFolders(dynosDir: string, app: App, dyno: Dyno): DynoFolders {
  const folder = join(dynosDir, dyno.id);
  const root = hostIdBase(app.idRange);
  const user = hostUserId(app.idRange);
  const make = (path: string, owner: number, mode: number) => {
    mkdirSync(path, { mode });
    giveTo(path, owner);
    return path;
  };
  make(folder, root, 0o700);
  return {
    upper: make(join(folder, "upper"), user, 0o755),
    work: make(join(folder, "work"), root, 0o755),
    tmp: make(join(folder, "tmp"), user, 0o777),
  };
}

export async function removeDynoFolders(dynosDir: string, dyno: Dyno): Promise<void> {
  await exec(["rm", "-rf", "--", join(dynosDir, dyno.id)]);
}
