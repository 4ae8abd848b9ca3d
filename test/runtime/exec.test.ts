import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ContainerBench, openContainerBench } from "../helpers/container-bench.ts";

let bench: ContainerBench;
let id = "";

beforeAll(async () => {
  bench = await openContainerBench();
  id = (await bench.start("exec -a the-first-program sleep 1000")).id;
});
afterAll(() => bench.close());

test("a program is added to a running container: its streams, its environment, its status", async () => {
  const added = bench.exec(id, "cat; echo $EXTRA $WORD; echo err >&2; hostname; exit 9");
  await added.write(Buffer.from("some\0bytes\n"));
  added.endInput();
  expect(await added.exited).toBe(9);
  // Two streams: which of them comes first is not told.
  expect(added.said().split("\n").sort()).toEqual(["", "err", "inside", "plugh", "some\0bytes"]);
});

test("it sees the processes of its container, and no others", async () => {
  const added = bench.exec(
    id,
    "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; ls -d /proc/[0-9]* | wc -l",
  );
  expect(await added.exited).toBe(0);
  expect(added.said()).toContain("the-first-program 1000");
  expect(Number(added.said().trim().split("\n").at(-1))).toBeLessThan(8);
});

test("it has the walls of the first one: user, capabilities, no new privileges, seccomp, limits, cgroup", async () => {
  const lines = "Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp";
  const script = `grep -E '^(${lines}):' /proc/PID/status; cat /proc/PID/{cgroup,limits,uid_map}; readlink /proc/PID/ns/*`;
  const look = async (pid: string) => {
    const added = bench.exec(id, script.replaceAll("PID", pid));
    expect(await added.exited).toBe(0);
    return added.said();
  };
  const own = await look("self");
  expect(own).toMatch(/^NoNewPrivs:\t1$/m);
  expect(own).toMatch(/^Seccomp:\t2$/m);
  expect(own).toMatch(/^CapBnd:\t0+$/m);
  expect(own).toMatch(/^Uid:\t1000\t1000\t1000\t1000$/m);
  expect(own).toBe(await look("1"));
  const refused = bench.exec(id, "unshare --user true; mount -t tmpfs none /tmp");
  expect(await refused.exited).not.toBe(0);
  expect(refused.said()).toContain("unshare failed");
});

test("with a terminal: its size from the start, a new size, what is typed, Ctrl-C and Ctrl-D", async () => {
  // A signal may come in the middle of a `print`, which cannot be called again from within.
  const script = `import os, signal, sys
def say(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def size(*_): say("size", *os.get_terminal_size())
signal.signal(signal.SIGWINCH, size)
signal.signal(signal.SIGINT, lambda *_: say("interrupted"))
size()
say("got", sys.stdin.readline().strip())
sys.stdin.read()
sys.exit(3)`;
  const added = bench.exec(id, "", {
    argv: ["python3", "-c", script],
    terminal: { columns: 91, lines: 33 },
  });
  const says = async (word: string) => {
    for (let tries = 0; tries < 1000 && !added.said().includes(word); tries++) await Bun.sleep(10);
    expect(added.said()).toContain(word);
  };
  await says("size 91 33");
  added.resize({ columns: 120, lines: 50 });
  await says("size 120 50");
  await added.write(new Uint8Array([3]));
  await says("interrupted");
  await added.write(Buffer.from("typed\n"));
  await says("got typed");
  added.endInput();
  expect(await added.exited).toBe(3);
  // Who types on does not know yet that it has ended.
  await added.write(Buffer.from("late\n"));
  added.resize({ columns: 80, lines: 24 });
  added.endInput();
});

test("a large output comes whole, by pipes and by a terminal", async () => {
  for (const terminal of [null, { columns: 80, lines: 24 }]) {
    const added = bench.exec(id, "head -c 3000000 /dev/zero | tr '\\0' x", { terminal });
    expect(await added.exited).toBe(0);
    expect(added.said().length).toBe(3_000_000);
  }
});

test("what is written to a program that reads no more is dropped", async () => {
  const added = bench.exec(id, "exec 0<&-; echo closed; sleep 1");
  while (!added.said().includes("closed")) await Bun.sleep(10);
  for (let times = 0; times < 5; times++) await added.write(new Uint8Array(100_000));
  await added.exited;
});

test("ended by a signal it ends as 128 + n", async () => {
  const added = bench.exec(id, "kill -9 $$");
  expect(await added.exited).toBe(137);
});

test("a program that is not there is an error in words, and none of the runtime's words is output", async () => {
  const added = bench.exec(id, "", { argv: ["no-such-program"] });
  const problem = await added.exited.catch((error: Error) => error.message);
  expect(problem).toContain("cannot run no-such-program in container");
  expect(problem).toContain("executable file");
  expect(added.said()).toBe("");
});

test("a container that has ended, or never was, is an error in words", async () => {
  const ended = await bench.start("exit 0");
  expect(await bench.runtime.wait(ended.id)).toBe(0);
  for (const gone of [ended.id, "no-such-container"]) {
    const problem = await bench.exec(gone, "true").exited.catch((error: Error) => error.message);
    expect(problem).toContain(gone);
    expect(problem).toMatch(/stopped|not running|does not exist/);
  }
  await bench.runtime.destroy(ended.id);
});

test("its environment is in no command line, and its files are gone when it has ended", async () => {
  const environment = { PATH: "/usr/bin:/bin", SECRET: "correct-horse" };
  const added = bench.exec(id, "echo there; read line", { environment });
  while (!added.said().includes("there")) await Bun.sleep(10);
  const commandLines = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => tryRead(`/proc/${pid}/cmdline`));
  expect(commandLines.filter((line) => line.includes("correct-horse"))).toEqual([]);
  added.endInput();
  await added.exited;
  const files = readdirSync(join(bench.folder, "run/containers", id));
  expect(files.filter((name) => name.startsWith("exec-"))).toEqual([]);
});

function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

test("it ends with its container", async () => {
  const other = await bench.start("sleep 1000");
  const added = bench.exec(other.id, "echo there; sleep 1000");
  while (!added.said().includes("there")) await Bun.sleep(10);
  await bench.runtime.destroy(other.id);
  expect(await added.exited).toBe(137);
});
