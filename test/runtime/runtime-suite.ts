import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseMonitorRow } from "../../src/dyno/output-tail.ts";
import type { AttachedContainer, ContainerSpec, Runtime } from "../../src/runtime/runtime.ts";
import { findProcesses, until } from "../helpers/stator-server.ts";

export type OpenedRuntime = Runtime & { close(): void; remove(): Promise<void> };

export interface RuntimeUnderTest<Opened extends OpenedRuntime> {
  /** A server's start: opens the runtime with all that it keeps in a folder. */
  open(folder: string): Promise<Opened> | Opened;
  /** What the machine still has of one container, in words. */
  traces(folder: string, id: string): Promise<string[]>;
  /** What the machine still has after `remove`, in words. */
  leftovers(folder: string): Promise<string[]>;
}

/** What every runtime must do, proven by running real programs in it. */
export function runtimeSuite<Opened extends OpenedRuntime>(kind: RuntimeUnderTest<Opened>) {
  let folder = "";
  let runtime: Opened;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "stator-runtime-"));
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, "out"));
    runtime = await kind.open(folder);
  });
  afterAll(async () => {
    for (const id of (await runtime.list()).keys()) await runtime.destroy(id);
    runtime.close();
    await runtime.remove();
    const left = await kind.leftovers(folder);
    rmSync(folder, { recursive: true });
    expect(left).toEqual([]);
  });

  function container(script: string, change: Partial<ContainerSpec> = {}): ContainerSpec {
    return {
      id: `test-${crypto.randomUUID()}`,
      hostname: "inside",
      argv: ["/usr/bin/tini", "--", "bash", "-c", script],
      environment: { PATH: "/usr/bin:/bin", WORD: "xyzzy" },
      workingDirectory: "/",
      hostIdBase: 0x7100_0000,
      mounts: [],
      limits: { memoryBytes: 128 * 1024 * 1024, cpuWeight: 100, maxProcesses: 64 },
      terminal: null,
      openPort: null,
      network: null,
      ...change,
    };
  }

  const output = (id: string) => {
    const path = join(folder, "out", id);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  async function start(script: string, change: Partial<ContainerSpec> = {}) {
    const spec = container(script, change);
    const { pid } = await runtime.start(spec, { logPath: join(folder, "out", spec.id) });
    return { id: spec.id, pid };
  }
  const said = (id: string, word: string) =>
    until(`${id} says ${JSON.stringify(word)}`, () => output(id).includes(word));

  type Begin = (options: { output(bytes: Uint8Array): void }) => AttachedContainer;

  /** Gives a program its input, and returns what it says until its end. */
  async function talk(begin: Begin, input: string | null, terminal = false) {
    let text = "";
    const decoder = new TextDecoder();
    const run = begin({
      output: (bytes) => void (text += decoder.decode(bytes, { stream: true })),
    });
    if (input !== null) await run.write(Buffer.from(input));
    if (!terminal) run.endInput();
    return { status: await run.exited, text };
  }
  const size = { columns: 91, lines: 33 };
  const attached = (script: string, input: string | null, terminal = false) =>
    talk(
      (options) => runtime.attach(container(script, { terminal: terminal ? size : null }), options),
      input,
      terminal,
    );
  const traces = (id: string) => kind.traces(folder, id);

  test("a container starts, its output is written down, its exit status is told", async () => {
    const { id, pid } = await start("echo to-out; echo to-err >&2; exit 7");
    expect(pid).toBeGreaterThan(1);
    expect(await runtime.wait(id)).toBe(7);
    await said(id, "stdout F to-out\n");
    await said(id, "stderr F to-err\n");
    await runtime.destroy(id);
    expect(await traces(id)).toEqual([]);
  });

  test("each line of output has its time; one without an end, and one that is long, come in parts", async () => {
    const began = Date.now();
    const { id } = await start(
      "head -c 20000 /dev/zero | tr '\\0' x; echo; printf äöü; sleep 0.2; printf €",
    );
    await runtime.wait(id);
    await runtime.destroy(id);
    const rows = output(id)
      .split("\n")
      .slice(0, -1)
      .map((row) => parseMonitorRow(Buffer.from(row)));
    expect(rows.length).toBeGreaterThan(3);
    for (const row of rows) {
      expect(Date.parse(row?.at ?? "")).toBeGreaterThanOrEqual(began - 1);
      expect(row?.bytes.length).toBeLessThanOrEqual(8192);
    }
    const text = rows.map((row) => `${row?.bytes.toString()}${row?.partial ? "" : "\n"}`).join("");
    expect(text.trimEnd()).toBe(`${"x".repeat(20_000)}\näöü€`);
  });

  test("a signal reaches every process, and ends as 128 + n", async () => {
    const { id } = await start(
      // The first process waits for the other one: when it ends, all that is left is ended.
      "trap 'echo top; wait; exit 143' TERM; (trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.1; done) & while :; do sleep 0.1; done",
    );
    await said(id, "ready");
    await runtime.signal(id, "TERM");
    expect(await runtime.wait(id)).toBe(143);
    await said(id, "top");
    await said(id, "child");
    await runtime.destroy(id);
    const other = await start("sleep 1000");
    await runtime.signal(other.id, "KILL");
    expect(await runtime.wait(other.id)).toBe(137);
    await runtime.signal(other.id, "TERM");
    await runtime.destroy(other.id);
    expect(await traces(other.id)).toEqual([]);
  });

  test("a signal in the first moment is not lost, whether attached or not", async () => {
    const first = await start("sleep 1000");
    await runtime.signal(first.id, "TERM");
    expect(await runtime.wait(first.id)).toBe(143);
    await runtime.destroy(first.id);
    for (let delayMs = 0; delayMs < 80; delayMs += 4) {
      const id = `test-${crypto.randomUUID()}`;
      const spec = container("sleep 1000", { id, network: runtime.reserveAddress(id) });
      const run = runtime.attach(spec, { output: () => {} });
      await Bun.sleep(delayMs);
      await runtime.signal(id, "TERM");
      expect([delayMs, await run.exited]).toEqual([delayMs, 143]);
    }
  });

  test("destroy ends what runs and leaves nothing, also twice", async () => {
    const { id } = await start("sleep 1000 & sleep 1000 & wait");
    const waiting = runtime.wait(id);
    expect(await traces(id)).not.toEqual([]);
    await runtime.destroy(id);
    await runtime.destroy(id);
    expect(await waiting).toBe(137);
    expect(await traces(id)).toEqual([]);
    expect((await runtime.list()).has(id)).toBe(false);
  });

  test("a daemon that leaves its session is ended with its container too", async () => {
    const word = `1000.${crypto.randomUUID().replaceAll(/\D/g, "").slice(0, 9)}`;
    const { id } = await start(`(setsid bash -c 'sleep ${word} & echo away' &); sleep 1000`);
    await said(id, "away");
    const running = () => findProcesses(word);
    expect(running()).not.toEqual([]);
    await runtime.destroy(id);
    expect(running()).toEqual([]);
    const short = await start(`(setsid bash -c 'sleep ${word} & echo away' &); sleep 0.3`);
    await said(short.id, "away");
    expect(await runtime.wait(short.id)).toBe(0);
    await until("the daemon is gone with the first process", () => running().length === 0);
    await runtime.destroy(short.id);
  });

  test("what is orphaned does not stay as a zombie", async () => {
    const script = `orphan=$( (bash -c 'echo $$; exec sleep 0.1 > /dev/null' &) )
      for i in $(seq 100); do [ -e /proc/$orphan ] || { echo reaped $orphan; exit; }; sleep 0.1; done`;
    expect((await attached(script, null)).text).toMatch(/^reaped \d+\n$/);
  });

  test("a reserved address is known until the container is destroyed", async () => {
    const id = `with-network-${crypto.randomUUID()}`;
    const network = runtime.reserveAddress(id);
    await start("sleep 1000", { id, network });
    expect(runtime.addressOf(id)).toEqual(network);
    await runtime.destroy(id);
    expect(runtime.addressOf(id)).toBeUndefined();
  });

  test("what ran when the server died is listed by the next one, with its pid, and can be waited for", async () => {
    const running = await start("sleep 15; exit 5");
    const ended = await start("exit 3");
    expect(await runtime.wait(ended.id)).toBe(3);
    runtime.close();
    runtime = await kind.open(folder);
    const listed = await runtime.list();
    expect(listed.get(running.id)).toBe(running.pid);
    expect(listed.get(ended.id)).toBeNull();
    expect(await runtime.wait(ended.id)).toBe(3);
    expect(await runtime.wait(running.id)).toBe(5);
    for (const { id } of [running, ended]) await runtime.destroy(id);
    expect(await runtime.list()).toEqual(new Map());
  });

  test("attached by pipes: bytes go in and come out, the end of input ends it, the status is kept", async () => {
    expect(await attached("cat; echo $WORD; exit 9", "some\0bytes\n")).toEqual({
      status: 9,
      text: "some\0bytes\nxyzzy\n",
    });
    expect(await attached("cat >&2", "to-err\n")).toEqual({ status: 0, text: "to-err\n" });
  });

  test("a large output comes whole", async () => {
    const { status, text } = await attached("head -c 5000000 /dev/zero | tr '\\0' x", null);
    expect([status, text.length]).toEqual([0, 5_000_000]);
    const { id } = await start("seq 1 200000");
    expect(await runtime.wait(id)).toBe(0);
    const rows = output(id).split("\n");
    expect(
      rows
        .slice(0, -1)
        .map((row) => parseMonitorRow(Buffer.from(row))?.bytes.toString() ?? "")
        .join(""),
    ).toBe(Array.from({ length: 200_000 }, (_, index) => index + 1).join(""));
    await runtime.destroy(id);
  });

  test("attached by a terminal: there is one, with its size, and what is typed arrives", async () => {
    const { status, text } = await attached(
      "tty; stty size; read line; echo got $line; exit 4",
      "typed\n",
      true,
    );
    expect(text).toContain("/dev/pts/");
    expect(text).toContain("33 91");
    expect(text).toContain("got typed");
    expect(status).toBe(4);
  });

  test("what is typed before the program is there is echoed once, and its end is its end", async () => {
    const { status, text } = await attached("cat; exit 5", "typed\n\u0004", true);
    expect(text).toBe("typed\r\ntyped\r\n");
    expect(status).toBe(5);
  });

  test("a terminal's new size is told, and Ctrl-C is for what runs in it", async () => {
    let text = "";
    const run = runtime.attach(
      container(
        "trap 'stty size' WINCH; trap 'echo broken; exit 6' INT; echo go; while :; do sleep 0.05; done",
        {
          terminal: size,
        },
      ),
      { output: (bytes) => void (text += Buffer.from(bytes).toString()) },
    );
    await until("it runs", () => text.includes("go"));
    run.resize({ columns: 70, lines: 20 });
    await until("it has the new size", () => text.includes("20 70"));
    await run.write(Buffer.from([3]));
    expect(await run.exited).toBe(6);
    expect(text).toContain("broken");
  });

  test("an interactive shell in a terminal has job control", async () => {
    let text = "";
    const run = runtime.attach(
      { ...container("", { terminal: size }), argv: ["bash", "--norc", "--noprofile", "-i"] },
      { output: (bytes) => void (text += Buffer.from(bytes).toString()) },
    );
    const type = async (keys: string, answer: RegExp) => {
      await run.write(Buffer.from(keys));
      await until(`it says ${answer.source}`, () => answer.test(text));
    };
    await type("PS1='rea''dy> '\r", /ready> /);
    await type("bash -c 'echo o\"\"n; exec sleep 1000'\r", /^on\r$/m);
    await type("\u001A", /Stopped.*ready> /s);
    await type("jobs\r", /jobs\r\n\[1\]\+ {2}Stopped/);
    await run.write(Buffer.from("kill %1; exit 7\r"));
    await run.write(Buffer.from("exit 7\r"));
    expect(await run.exited).toBe(7);
    expect(text).not.toContain("no job control");
  });

  test("an attached container leaves nothing", async () => {
    await attached("sleep 1000 & exit 0", null);
    expect(await runtime.list()).toEqual(new Map());
  });

  test("a signal ends an attached container, also one that is only just starting", async () => {
    const spec = container("sleep 1000");
    const run = runtime.attach(spec, { output: () => {} });
    await until("it is there", async () => {
      await runtime.signal(spec.id, "KILL");
      return (await Promise.race([run.exited, Bun.sleep(50).then(() => null)])) !== null;
    });
    expect(await run.exited).toBe(137);
    expect(await traces(spec.id)).toEqual([]);
  });

  test("a program that opens /dev/stdout and /dev/stderr by name reaches the same output", async () => {
    const script = "echo out > /dev/stdout; echo err > /dev/stderr";
    const { id } = await start(script);
    await said(id, "stdout F out\n");
    await said(id, "stderr F err\n");
    await runtime.destroy(id);
    const { text, status } = await attached(script, null);
    expect([status, ...text.trim().split("\n").sort()]).toEqual([0, "err", "out"]);
  });

  test("a program has the environment of its container, and no other", async () => {
    const { text } = await attached("cat /proc/$$/environ | tr '\\0' '\\n' | sort", null);
    const given = text
      .split("\n")
      .filter((row) => row !== "" && !/^(HOSTNAME|HOME|container)=/.test(row));
    expect(given).toEqual(["PATH=/usr/bin:/bin", "WORD=xyzzy"]);
  });

  test("a program that is not there is an error in words, and leaves nothing", async () => {
    const spec = container("", { argv: ["/usr/bin/no-such-program"] });
    const problem = await runtime
      .start(spec, { logPath: join(folder, "out", spec.id) })
      .catch((error: Error) => error.message);
    expect(problem).toContain("no-such-program");
    expect(await traces(spec.id)).toEqual([]);
  });

  const program = (script: string, terminal: ContainerSpec["terminal"] = null) => ({
    argv: ["bash", "-c", script],
    environment: { PATH: "/usr/bin:/bin", ADDED: "yes" },
    workingDirectory: "/tmp",
    terminal,
  });

  test("exec: one more program in a running container, by pipes and by a terminal", async () => {
    const { id } = await start("sleep 1000");
    const piped = await talk(
      (options) => runtime.exec(id, program("pwd; echo $ADDED$WORD; cat; exit 8"), options),
      "in\n",
    );
    expect(piped).toEqual({ status: 8, text: "/tmp\nyes\nin\n" });
    const typed = await talk(
      (options) => runtime.exec(id, program("stty size; read it; echo got $it", size), options),
      "typed\n",
      true,
    );
    expect(typed.text).toContain("33 91");
    expect(typed.text).toContain("got typed");
    expect((await runtime.list()).has(id)).toBe(true);
    await runtime.destroy(id);
    expect(await traces(id)).toEqual([]);
  });

  test("exec: signals reach what was added, and it ends with its container", async () => {
    const { id } = await start("trap '' TERM; echo ready; sleep 1000");
    await said(id, "ready");
    let text = "";
    const script = "trap 'echo told' TERM; echo here; while :; do sleep 0.05; done";
    const run = runtime.exec(id, program(script), {
      output: (bytes) => void (text += Buffer.from(bytes).toString()),
    });
    await until("it runs", () => text.includes("here"));
    // What was only just added may not be known as the container's yet.
    await until("it was told", async () => {
      await runtime.signal(id, "TERM");
      await Bun.sleep(100);
      return text.includes("told");
    });
    await runtime.destroy(id);
    expect(await run.exited).toBeGreaterThan(128);
    expect(await traces(id)).toEqual([]);
  });

  test("stats: memory, processor time and processes, from the kernel; nothing of a stranger", async () => {
    const script =
      "x=$(head -c 20000000 /dev/zero | tr '\\0' x); for i in $(seq 1 200000); do :; done; echo ready; sleep 1000; :";
    const { id } = await start(script);
    await said(id, "ready");
    const stats = runtime.stats(id);
    expect(stats?.memoryBytes).toBeGreaterThan(20_000_000);
    expect(stats?.memoryBytes).toBeLessThan(120_000_000);
    expect(stats?.cpuMicroseconds).toBeGreaterThan(10_000);
    expect(stats?.processes).toBeGreaterThanOrEqual(1);
    expect(stats?.outOfMemoryKills).toBe(0);
    await runtime.signal(id, "KILL");
    await runtime.wait(id);
    expect(runtime.stats(id)?.processes).toBe(0);
    await runtime.destroy(id);
    expect(runtime.stats(id)).toBeUndefined();
  });

  return {
    get runtime() {
      return runtime;
    },
    get folder() {
      return folder;
    },
    ...{ attached, container, output, said, start, traces },
  };
}
