import type { App } from "../model/app.ts";
import { deleteDyno, type Dyno, dynoName, updateDyno } from "../model/dyno.ts";
import type { AttachedContainer, ContainerSpec, TerminalSize } from "../runtime/runtime.ts";
import { type DynoContext, endProcesses, tellOfDyno } from "./live-dyno.ts";
import { MemoryWatch } from "./memory.ts";

export interface AttachedClient {
  /** The dyno's next output comes when this one is taken. */
  output(bytes: Uint8Array): void | Promise<void>;
  exit(status: number): void;
}

/** A program with a client: bytes in, bytes out, an end. */
export interface AttachedProgram {
  /** Called once by the door that serves the client; output waits for it. */
  attach(client: AttachedClient): void;
  /** Resolves when it has taken them, if that is known. */
  write(bytes: Uint8Array): Promise<void> | void;
  /** Ends standard input (Ctrl-D or the end of a pipe). */
  endInput(): void;
  resize(size: TerminalSize): void;
  /** The client is gone. */
  hangUp(): void;
}

/** A one-off dyno that hangs on a client of this server. */
export interface AttachedDyno extends AttachedProgram {
  dyno: Dyno;
  app: App;
  /** Its exit status. */
  ended: Promise<number>;
  watchMemory(now: number): void;
  /** SIGTERM, 30 s, SIGKILL. */
  stop(): Promise<void>;
}

/** Takes what comes when the client has gone, or never came. */
const nobody: AttachedClient = { output: () => {}, exit: () => {} };

/** How often a program is told that its client is gone, and how long it has after each time. */
const hangUps = { times: 4, everyMs: 5000 };

/** Starts a dyno with its streams in the hands of a client that is still to come (contract §2.2). */
export function startAttachedDyno(
  context: DynoContext,
  app: App,
  { dyno, spec, gone }: { dyno: Dyno; spec: ContainerSpec; gone: () => void },
): AttachedDyno {
  const { runtime, database, stopTimeoutMs } = context;
  const log = (message: string) => tellOfDyno(context.logs, app, { name: dynoName(dyno), message });
  const memory = new MemoryWatch(context, dyno, log);
  log(`Starting process with command \`${dyno.command}\``);
  const program = attachClient((output) => runtime.attach(spec, { output }));
  updateDyno(database, dyno, { state: "up" });
  log("State changed from starting to up");

  async function finish(): Promise<number> {
    const status = await program.exited;
    memory.tellOfKills();
    log(`Process exited with status ${status}`);
    log("State changed from up to complete");
    await context.disks.remove(dyno.id);
    deleteDyno(database, dyno.id);
    gone();
    return status;
  }
  const ended = finish();

  /** What does not heed it goes on without a client, until it is stopped (R16). */
  async function hangUp(): Promise<void> {
    if (program.leave()) return;
    for (let times = 0; times < hangUps.times; times++) {
      log("Client connection closed. Sending SIGHUP to all processes");
      await runtime.signal(dyno.id, "HUP");
      if (await endsWithin(hangUps.everyMs)) return;
    }
    log(
      "Error R16 (Detached) -> An attached process is not responding to SIGHUP after its external connection was closed.",
    );
  }

  function endsWithin(timeMs: number): Promise<boolean> {
    return Promise.race([ended.then(() => true), Bun.sleep(timeMs).then(() => false)]);
  }

  return {
    ...{ app, dyno, ended },
    watchMemory: (now) => void memory.look(now),
    attach: (client) => program.attach(client),
    write: (bytes) => program.write(bytes),
    endInput: () => program.endInput(),
    resize: (size) => program.resize(size),
    hangUp: () => void hangUp(),
    stop: () => endProcesses({ runtime, stopTimeoutMs, id: dyno.id, ended, log }),
  };
}

/** One more program in a dyno that runs; it ends with its client (contract §1.15). */
export function startInside(
  { runtime }: DynoContext,
  dyno: Dyno,
  program: Pick<ContainerSpec, "argv" | "environment" | "workingDirectory" | "terminal">,
): AttachedProgram {
  const attached = attachClient((output) => runtime.exec(dyno.id, program, { output }));
  const hangUp = () => {
    if (!attached.leave()) attached.hangUp();
  };
  return { ...attached, hangUp };
}

/** What shells say of a program that cannot be run. */
const cannotStart = 126;

/** Joins a program and a client, whichever comes first. */
function attachClient(start: (output: AttachedClient["output"]) => AttachedContainer) {
  const client = Promise.withResolvers<AttachedClient>();
  let left = false;
  const listener = async () => {
    const one = await client.promise;
    return left ? nobody : one;
  };
  const attached = start(async (bytes) => (await listener()).output(bytes));
  let running = true;
  async function end(): Promise<number> {
    const status = await attached.exited.catch(async (error: Error) => {
      // It could not even be started: its client is told why.
      await (await listener()).output(Buffer.from(` ▸    ${error.message}\n`));
      return cannotStart;
    });
    running = false;
    void listener().then((one) => one.exit(status));
    return status;
  }
  const exited = end();
  return {
    exited,
    attach: client.resolve,
    write: (bytes: Uint8Array) => attached.write(bytes),
    endInput: () => attached.endInput(),
    resize: (size: TerminalSize) => attached.resize(size),
    hangUp: () => attached.hangUp(),
    /** From now on nobody listens; true when there is nothing left that could be told. */
    leave(): boolean {
      left = true;
      client.resolve(nobody);
      return !running;
    },
  };
}
