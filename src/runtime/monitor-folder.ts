import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ProcessIdentity } from "../lib/process-table.ts";
import type { ProcessCommand } from "./process-command.ts";

/** What a monitor is told. Secrets are in it, so it is a file that the monitor deletes when it has read it. */
export interface MonitorOrder extends ProcessCommand {
  /** Folders that are filled from others first. */
  copies: { from: string; to: string }[];
  /** Where the output goes; `null`: the program has the monitor's own streams. */
  logPath: string | null;
  /** Where the exit status is written; `null`: nobody asks for it later. */
  exitPath: string | null;
  /** Ends when this process does; `null`: lives on by itself. */
  endsWith: number | null;
}

/** The monitor and the program that it has started. */
export interface MonitorState {
  monitor: ProcessIdentity;
  program: ProcessIdentity;
}

/** How a program has ended. */
export interface ProgramExit {
  /** 128 + n after signal n. */
  status: number;
  cpuMicroseconds: number;
}

export function writeOrder(folder: string, order: MonitorOrder): void {
  writeWhole(join(folder, "order"), JSON.stringify(order));
}

export function takeOrder(folder: string): MonitorOrder {
  const path = join(folder, "order");
  const order = JSON.parse(readFileSync(path, "utf8")) as MonitorOrder;
  rmSync(path);
  return order;
}

export function writeState(folder: string, state: MonitorState): void {
  writeWhole(join(folder, "state"), JSON.stringify(state));
}

/** Nothing until the program is started. */
export function readState(folder: string): MonitorState | undefined {
  return readJson<MonitorState>(join(folder, "state"));
}

/** Why a program could not be started. */
export function writeProblem(folder: string, problem: string): void {
  writeWhole(join(folder, "problem"), JSON.stringify(problem));
}

export function readProblem(folder: string): string | undefined {
  return readJson<string>(join(folder, "problem"));
}

export function writeExit(path: string, exit: ProgramExit): void {
  writeWhole(path, JSON.stringify(exit));
}

/** Nothing until the program has ended. */
export function readExit(path: string): ProgramExit | undefined {
  return readJson<ProgramExit>(path);
}

/** All of it or nothing, and for this user alone. */
function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function readJson<T>(path: string): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch {
    // Removed at this moment.
    return undefined;
  }
}
