import { expect, test } from "bun:test";
import { execNow, spawn } from "../../src/lib/exec.ts";
import {
  isRunning,
  parsePs,
  parseStat,
  pidExists,
  processRow,
  processTable,
  residentBytes,
} from "../../src/lib/process-table.ts";

test("a row of /proc/PID/stat, whatever the program calls itself", () => {
  const text = `4711 (a) (b c) S 1 47 46 34816 4711 4194304 1 2 3 4 150 50 7 3 20 0 1 0 987654 ${"0 ".repeat(30)}`;
  expect(parseStat(text, "boot")).toEqual({
    ...{ pid: 4711, parent: 1, group: 47, session: 46 },
    ...{ cpuMicroseconds: 2_100_000, startedAt: "boot 987654" },
  });
  expect(parseStat("5 (x) Z 1 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9", "boot")).toBeUndefined();
});

test("rows of ps, in the forms of Linux and of macOS", () => {
  const text = `
  501     1   501 Ss    0:01.25 Wed Nov 25 04:07:22 2026
12345   501   501 R+ 1-02:03:04 Wed Nov  5 04:07:22 2026
12346   501   501 Z       00:00 Wed Nov  5 04:07:22 2026
`;
  expect(parsePs(text)).toEqual([
    {
      ...{ pid: 501, parent: 1, group: 501, session: 0 },
      ...{ cpuMicroseconds: 1_250_000, startedAt: "Wed Nov 25 04:07:22 2026" },
    },
    {
      ...{ pid: 12345, parent: 501, group: 501, session: 0 },
      ...{ cpuMicroseconds: 93_784_000_000, startedAt: "Wed Nov 5 04:07:22 2026" },
    },
  ]);
});

test("both ways of asking tell the same of a process that runs", () => {
  const columns = ["pid=", "ppid=", "pgid=", "state=", "time=", "lstart="];
  const flags = columns.flatMap((column) => ["-o", column]);
  const [told] = parsePs(execNow(["ps", "-p", String(process.pid), ...flags]));
  const read = processTable().find(({ pid }) => pid === process.pid);
  expect([told?.pid, told?.parent, told?.group]).toEqual([read?.pid, read?.parent, read?.group]);
  expect(read).toMatchObject({ pid: process.pid, parent: process.ppid });
  expect(residentBytes(process.pid)).toBeGreaterThan(1_000_000);
});

test("a process is itself until its end, and what has its number later is another one", async () => {
  const child = spawn(["sleep", "1000"]);
  const row = processRow(child.pid);
  if (!row) throw new Error("it is not there");
  expect(isRunning(row)).toBe(true);
  expect(isRunning({ ...row, startedAt: "earlier" })).toBe(false);
  expect(pidExists(child.pid)).toBe(true);
  child.kill("SIGKILL");
  await child.exited;
  expect(isRunning(row)).toBe(false);
  expect(pidExists(child.pid)).toBe(false);
});
