import { closeSync } from "node:fs";
import { constants as os } from "node:os";
import { join } from "node:path";
import { type Argv, execOk, spawn } from "../lib/exec.ts";
import { drain, openPipe } from "../lib/named-pipe.ts";
import { adoptOrphans, reapOrphans } from "../lib/orphans.ts";
import { processRow } from "../lib/process-table.ts";
import {
  type MonitorOrder,
  type MonitorState,
  takeOrder,
  writeExit,
  writeProblem,
  writeState,
} from "./monitor-folder.ts";
import { openOutputFile } from "./output-file.ts";
import { killAll } from "./process-group.ts";

const lookEveryMs = 500;

/**
 * `stator monitor FOLDER`: starts one program, writes down what it says and how it ends, and ends
 * with it. It has what conmon, an init and the kernel's namespaces do for a container.
 */
export async function runMonitor(folder: string): Promise<number> {
  const order = takeOrder(folder);
  outliveTerminal();
  adoptOrphans();
  process.umask(0o022);
  const output = order.logPath === null ? undefined : openOutput(folder, order.logPath);
  let child: ReturnType<typeof start>;
  try {
    for (const copy of order.copies) await copyFolder(copy);
    child = start(order, output?.writeEnds);
  } catch (error) {
    return giveUp(folder, (error as Error).message);
  }
  output?.closeWriteEnds();
  const state: MonitorState = {
    monitor: identity(process.pid),
    program: identity(child.pid),
  };
  try {
    writeState(folder, state);
  } catch {
    // Nobody wants it any more (its folder is gone), or nobody could find it again.
    child.kill("SIGKILL");
  }
  const own = new Set([child.pid]);
  const look = setInterval(() => {
    reapOrphans(own);
    if (order.endsWith !== null && process.ppid !== order.endsWith) child.kill("SIGKILL");
  }, lookEveryMs);
  await child.exited;
  own.clear();
  clearInterval(look);
  await killAll([state]);
  await output?.drained;
  const status = statusOf(child);
  const cpuMicroseconds = Number(child.resourceUsage()?.cpuTime.total ?? 0);
  if (order.exitPath !== null) writeExit(order.exitPath, { status, cpuMicroseconds });
  return status;
}

/** A monitor goes when its program has gone: Ctrl-C and a closed terminal are for the program. */
function outliveTerminal(): void {
  for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP", "SIGTERM", "SIGTSTP"] as const)
    process.on(signal, () => {});
}

/** Where the disk can share the blocks, a copy costs nothing. */
async function copyFolder({ from, to }: MonitorOrder["copies"][number]): Promise<void> {
  const copy: Argv =
    process.platform === "darwin" ? ["cp", "-Rpc"] : ["cp", "--archive", "--reflink=auto"];
  await execOk([...copy, "--", `${from}/.`, `${to}/`]);
}

function start(
  { argv, environment, workingDirectory }: MonitorOrder,
  writeEnds: [number, number] | undefined,
) {
  const [program = "", ...args] = argv;
  return spawn([program, ...args], {
    cwd: workingDirectory,
    env: environment,
    stdio: writeEnds ? ["ignore", ...writeEnds] : ["inherit", "inherit", "inherit"],
    // With a terminal it stays in the monitor's session, whose terminal it is.
    detached: writeEnds !== undefined,
  } as never) as unknown as Bun.Subprocess<"ignore", "ignore", "ignore">;
}

function giveUp(folder: string, problem: string): number {
  writeProblem(folder, problem);
  process.stderr.write(`${problem}\n`);
  return 127;
}

function identity(pid: number) {
  return { pid, startedAt: processRow(pid)?.startedAt ?? "" };
}

function statusOf({ exitCode, signalCode }: ReturnType<typeof start>): number {
  return signalCode ? 128 + os.signals[signalCode as NodeJS.Signals] : (exitCode ?? 0);
}

/** Two pipes that end in the output file. */
function openOutput(folder: string, logPath: string) {
  const file = openOutputFile(logPath);
  const streams = (["stdout", "stderr"] as const).map((name) => {
    const { readEnd, writeEnd } = openPipe(join(folder, name), "writes");
    const stream = file.stream(name);
    return { writeEnd, drained: drain(readEnd, stream.write).then(stream.end) };
  });
  const writeEnds = streams.map(({ writeEnd }) => writeEnd) as [number, number];
  return {
    writeEnds,
    closeWriteEnds: () => writeEnds.forEach((end) => closeSync(end)),
    drained: Promise.all(streams.map((stream) => stream.drained)),
  };
}
