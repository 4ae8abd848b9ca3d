import {
  isRunning,
  type ProcessIdentity,
  type ProcessRow,
  processTable,
} from "../lib/process-table.ts";
import type { MonitorState } from "./monitor-folder.ts";

/**
 * Every process that these monitors have started, by descent or by session, without the monitors.
 * A number that somebody else has by now stands for nothing. Pure.
 */
export function processesOf(states: MonitorState[], table: ProcessRow[]): ProcessRow[] {
  const byPid = new Map(table.map((row) => [row.pid, row]));
  const isOurs = ({ pid, startedAt }: ProcessIdentity) =>
    (byPid.get(pid)?.startedAt ?? startedAt) === startedAt;
  const leaders = states.flatMap(({ monitor, program }) => [monitor, program]).filter(isOurs);
  const groups = new Set(leaders.map(({ pid }) => pid));
  const found = new Set(
    table.filter(
      ({ session, group, pid }) => groups.has(session) || groups.has(group) || groups.has(pid),
    ),
  );
  const parents = new Set([...found].map(({ pid }) => pid));
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const row of table)
      if (parents.has(row.parent)) {
        found.add(row);
        parents.add(row.pid);
      }
  }
  const monitors = new Set(states.map(({ monitor }) => monitor.pid));
  return [...found].filter(({ pid }) => !monitors.has(pid));
}

/** Sends a signal to each; one that has ended meanwhile gets nothing. */
export function signalAll(rows: ProcessIdentity[], signal: NodeJS.Signals): void {
  for (const { pid } of rows)
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
}

/** Kills until nothing is left: what is killed may have started something at the last moment. */
export async function killAll(states: MonitorState[]): Promise<void> {
  for (let rows = processesOf(states, processTable()); rows.length > 0;) {
    signalAll(rows, "SIGKILL");
    await Bun.sleep(2);
    rows = processesOf(states, processTable());
  }
}

/** The monitors of these that are there. */
export function liveMonitors(states: MonitorState[]): ProcessIdentity[] {
  return states.map(({ monitor }) => monitor).filter(isRunning);
}
