import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn } from "../../src/lib/exec.ts";
import type { ProcessRow } from "../../src/lib/process-table.ts";
import type { MonitorState } from "../../src/runtime/monitor-folder.ts";
import { processesOf } from "../../src/runtime/process-group.ts";
import { createProcessRuntime, type ProcessRuntime } from "../../src/runtime/process-runtime.ts";
import { findProcesses, repositoryRoot, until } from "../helpers/stator-server.ts";
import { runtimeSuite } from "./runtime-suite.ts";

const program: [string, ...string[]] = [
  process.execPath,
  "--no-env-file",
  join(repositoryRoot, "src/main.ts"),
];

describe("the suite of all runtimes", () => {
  runtimeSuite({
    open: (folder) => createProcessRuntime({ runDir: join(folder, "run"), program }),
    traces: (folder, id) =>
      Promise.resolve([
        ...findProcesses(id).map(({ pid, argv }) => `process ${pid}: ${argv.join(" ")}`),
        ...["containers", "exits"].flatMap((kind) => {
          const path = join(folder, "run", kind, id);
          return existsSync(path) ? [path] : [];
        }),
      ]),
    leftovers: (folder) =>
      Promise.resolve([
        ...findProcesses(folder).map(({ argv }) => argv.join(" ")),
        ...(existsSync(join(folder, "run")) ? [join(folder, "run")] : []),
      ]),
  });
});

describe("what only plain processes have", () => {
  let folder = "";
  let runtime: ProcessRuntime;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stator-processes-"));
    runtime = createProcessRuntime({ runDir: join(folder, "run"), program });
  });
  afterEach(async () => {
    for (const id of (await runtime.list()).keys()) await runtime.destroy(id);
    runtime.close();
    const left = findProcesses(folder);
    rmSync(folder, { recursive: true });
    expect(left).toEqual([]);
  });

  const spec = (script: string) => ({
    ...{ id: `only-${crypto.randomUUID()}`, hostname: "x", argv: ["bash", "-c", script] },
    ...{ environment: { PATH: "/usr/bin:/bin" }, workingDirectory: "/", hostIdBase: 0 },
    limits: { memoryBytes: 0, cpuWeight: 100, maxProcesses: 1 },
    ...{ mounts: [], terminal: null, network: null, openPort: null },
  });
  const start = async (script: string) => {
    const wanted = spec(script);
    const logPath = join(folder, wanted.id);
    const { pid } = await runtime.start(wanted, { logPath });
    return { id: wanted.id, pid, said: () => readFileSync(logPath, "utf8") };
  };
  const monitorOf = (id: string) =>
    findProcesses(id).find(({ argv }) => argv.includes("monitor"))?.pid as number;

  test("an overlay is a copy: what the program changes is its own", async () => {
    for (const name of ["slug", "upper", "work"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "slug", "file"), "from the slug\n", { mode: 0o755 });
    const wanted = spec("cat /app/file; echo changed > /app/file; ls -l /app/file | cut -c 1-10");
    const [lower, upper, work] = ["slug", "upper", "work"].map((name) => join(folder, name)) as [
      ...[string, string, string],
    ];
    const mounts = [{ kind: "overlay" as const, lower, upper, work, target: "/app" }];
    let text = "";
    const run = runtime.attach(
      { ...wanted, mounts },
      { output: (bytes) => void (text += Buffer.from(bytes).toString()) },
    );
    expect(await run.exited).toBe(0);
    expect(text).toBe("from the slug\n-rwxr-xr-x\n");
    expect(readFileSync(join(lower, "file"), "utf8")).toBe("from the slug\n");
    expect(readFileSync(join(upper, "file"), "utf8")).toBe("changed\n");
  });

  test("a program has three files open and no more, and none of Stator's stays open", async () => {
    // Of the pipes that are made for it; other files of this process come and go.
    const openFiles = () =>
      readdirSync("/proc/self/fd").filter((name) => linkOf(name).startsWith(folder)).length;
    for (let round = 0; round < 6; round++) {
      const run = runtime.attach(spec("ls /proc/$$/fd"), { output: () => {} });
      run.endInput();
      await run.exited;
    }
    await until("none is left open", () => openFiles() === 0);
    const { id, said } = await start("ls -x /proc/$$/fd; :");
    await runtime.wait(id);
    await until("it has said it", () => said() !== "");
    expect(said()).toMatch(/ stdout F 0 +1 +2 *\n$/);
  });

  test("a stranger that has the number of a process of ours is left alone", async () => {
    const stranger = spawn(["sleep", "1000"], { detached: true });
    const main = join(folder, "run/containers/old/programs/main");
    mkdirSync(main, { recursive: true });
    const identity = { pid: stranger.pid, startedAt: "another boot 1" };
    writeFileSync(join(main, "state"), JSON.stringify({ monitor: identity, program: identity }));
    expect((await runtime.list()).get("old")).toBeNull();
    expect(await runtime.wait("old")).toBe(137);
    await runtime.signal("old", "KILL");
    await runtime.destroy("old");
    await Bun.sleep(50);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    stranger.kill("SIGKILL");
    await stranger.exited;
  });

  test("an order that a server wrote just before its death is forgotten", async () => {
    const main = join(folder, "run/containers/ordered/programs/main");
    mkdirSync(main, { recursive: true });
    writeFileSync(join(main, "order"), "{}");
    expect([...(await runtime.list())]).toEqual([["ordered", null]]);
    await runtime.signal("ordered", "TERM");
    await runtime.destroy("ordered");
    expect(await runtime.list()).toEqual(new Map());
  });

  test("a container that is destroyed while it starts leaves nothing", async () => {
    const wanted = spec("sleep 1000");
    const starting = runtime.start(wanted, { logPath: join(folder, wanted.id) });
    await runtime.destroy(wanted.id);
    await starting.catch(() => {});
    await runtime.destroy(wanted.id);
    expect(findProcesses(wanted.id)).toEqual([]);
    expect(await runtime.list()).toEqual(new Map());
  });

  test("processes are found by descent and by session, numbers used again are not", () => {
    const row = (pid: number, parent: number, session: number, startedAt = "1"): ProcessRow => ({
      ...{ pid, parent, session, group: session, startedAt, cpuMicroseconds: 0 },
    });
    const state: MonitorState = {
      monitor: { pid: 10, startedAt: "1" },
      program: { pid: 11, startedAt: "1" },
    };
    const pids = (...table: ProcessRow[]) =>
      processesOf([state], table)
        .map(({ pid }) => pid)
        .sort((one, other) => one - other);
    const family = [row(10, 1, 10), row(11, 10, 11), row(12, 11, 11), row(13, 10, 13)];
    expect(pids(row(1, 0, 1), ...family, row(99, 1, 99))).toEqual([11, 12, 13]);
    expect(pids(row(12, 1, 11), row(99, 1, 99))).toEqual([12]);
    expect(pids(row(11, 1, 11, "2"), row(12, 11, 11, "2"))).toEqual([]);
    expect(pids(row(10, 1, 10, "2"), row(14, 10, 10, "2"))).toEqual([]);
  });

  test("when its monitor is killed, a program runs on, is known, and can be ended", async () => {
    const { id, pid } = await start("sleep 1000 & wait");
    process.kill(monitorOf(id), "SIGKILL");
    await until("the monitor is gone", () => monitorOf(id) === undefined);
    expect((await runtime.list()).get(id)).toBe(pid);
    await until("both are counted", () => runtime.stats(id)?.processes === 2);
    const waiting = runtime.wait(id);
    await runtime.signal(id, "KILL");
    expect(await waiting).toBe(137);
    expect((await runtime.list()).get(id)).toBeNull();
  });

  test("what is attached ends with the server, also by pipes that nobody closes", async () => {
    const word = `1000.${crypto.randomUUID().replaceAll(/\D/g, "").slice(0, 9)}`;
    const script = `
      import { createProcessRuntime } from "${repositoryRoot}/src/runtime/process-runtime.ts";
      const runtime = createProcessRuntime(${JSON.stringify({ runDir: join(folder, "run"), program })});
      for (const terminal of [null, { columns: 80, lines: 24 }])
        runtime.attach({ ...${JSON.stringify(spec(`trap '' HUP; sleep ${word} & wait; sleep ${word}`))},
          id: "attached-" + (terminal ? 1 : 2), terminal }, { output() {} });
    `;
    writeFileSync(join(folder, "server.ts"), script);
    const server = spawn([process.execPath, join(folder, "server.ts")], { stdout: "ignore" });
    await until("both run", () => findProcesses(word).length === 4);
    server.kill("SIGKILL");
    await server.exited;
    await until("they are gone", () => findProcesses(word).length === 0);
    await until("and their monitors", () => findProcesses(join(folder, "run")).length === 0);
    expect([...(await runtime.list()).values()]).toEqual([null, null]);
  });
});

/** What an open file of this process is; nothing when it was closed meanwhile. */
function linkOf(name: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${name}`);
  } catch {
    return "";
  }
}
