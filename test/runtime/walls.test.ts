import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import type { ContainerMount } from "../../src/runtime/runtime.ts";
import { type ContainerBench, mebibyte, openContainerBench } from "../helpers/container-bench.ts";
import { until } from "../helpers/stator-server.ts";

let bench: ContainerBench;
/** The attacker's container, and one whose things it is after. */
let attacker = "";
let victim = "";
let tools = "";
let mounts: ContainerMount[] = [];
const limits = { memoryBytes: 1024 * mebibyte, cpuWeight: 100, maxProcesses: 256 };

beforeAll(async () => {
  bench = await openContainerBench();
  tools = join(bench.folder, "tools");
  mkdirSync(tools);
  const source = join(import.meta.dir, "../fixtures/walls/forbidden-calls.c");
  await execOk(["gcc", "-w", "-o", join(tools, "forbidden-calls"), source]);
  // A set-uid program of the host's root.
  copyFileSync("/usr/bin/id", join(tools, "id"));
  chmodSync(join(tools, "id"), 0o4755);
  mounts = [
    { kind: "bind", source: bench.scratch(), target: "/tmp", readOnly: false },
    { kind: "bind", source: tools, target: "/mnt", readOnly: true },
  ];
  attacker = (await bench.start("sleep 1000", { mounts, limits })).id;
  const objects = `import ctypes, os, socket, time
libc = ctypes.CDLL(None, use_errno=True)
print("shm", libc.shmget(4711, 4096, 0o1666), "queue", libc.msgget(4711, 0o1666), "semaphore", libc.semget(4711, 1, 0o1666))
print("mq", ctypes.CDLL("librt.so.1").mq_open(b"/victim", os.O_CREAT | os.O_RDWR, 0o666, None))
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\\0victim"); abstract.listen()
open("/dev/shm/victim", "w").write("secret")
print("made", flush=True); time.sleep(1000)`;
  const change = { argv: ["/usr/bin/tini", "--", "python3", "-c", objects] };
  const environment = { PATH: "/usr/bin:/bin", VICTIM_SECRET: "correct-horse" };
  victim = (await bench.start("", { ...change, environment, hostIdBase: 0x7200_0000 })).id;
  await bench.said(victim, "made");
});
afterAll(() => bench.close());

/** Runs a script in the attacker's container, as its user and then as root of its user namespace. */
async function asBoth(script: string, check: (said: string) => void): Promise<void> {
  const added = bench.exec(attacker, script);
  await added.exited;
  check(added.said());
  check(await bench.execAsRoot(attacker, script));
}

test("calls into the kernel that no app needs are refused, in every way of calling them", () =>
  asBoth("/mnt/forbidden-calls", (said) => {
    const rows = said.trim().split("\n");
    expect(rows.length).toBeGreaterThan(75);
    const wrong = rows.filter((row) => !/ (EPERM|ENOSYS|KILLED)$|^core limit 1 1$/.test(row));
    expect(wrong).toEqual([]);
    for (const name of ["unshare", "mount", "ptrace", "bpf", "keyctl", "io_uring_setup"])
      expect(rows).toContain(`${name} EPERM`);
    expect(rows).toContain("clone CLONE_NEWUSER EPERM");
    expect(rows).toContain("clone3 ENOSYS");
    if (process.arch === "x64") expect(rows).toContain("a call of 32 bits KILLED");
  }));

test("no capability, no new privileges, a filter, and a user of no rights on the host", () =>
  asBoth("cat /proc/self/status /proc/self/uid_map", (said) => {
    for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"])
      expect(said).toMatch(new RegExp(`^Cap${set}:\\t0+$`, "m"));
    expect(said).toMatch(/^NoNewPrivs:\t1$/m);
    expect(said).toMatch(/^Seccomp:\t2$/m);
    expect(said).toMatch(new RegExp(`^ +0 +${0x7100_0000} +65536$`, "m"));
  }));

test("a set-uid program of the host gives nothing", () =>
  asBoth(
    "stat -c %A /mnt/id; echo $(/mnt/id -u) $(id -u); find / -xdev -perm -4000 2>/dev/null",
    (said) => {
      expect(said).toStartWith("-rwsr-xr-x\n");
      expect(said).toMatch(/^(1000 1000|0 0)$/m);
    },
  ));

test("only the own processes are there, and no environment of others", () =>
  asBoth(
    "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; ls /proc | grep -c '^[0-9]'",
    (said) => {
      expect(said).not.toContain("correct-horse");
      expect(said).not.toContain("conmon");
      expect(Number(said.trim().split("\n").at(-1))).toBeLessThan(10);
    },
  ));

test("no IPC object, shared memory, message queue or abstract socket of others is reached", () =>
  asBoth(
    `python3 -c '
import ctypes, os, socket
libc = ctypes.CDLL(None)
print(libc.shmget(4711, 4096, 0), libc.msgget(4711, 0), libc.semget(4711, 1, 0), ctypes.CDLL("librt.so.1").mq_open(b"/victim", os.O_RDWR), os.path.exists("/dev/shm/victim"))
try: socket.socket(socket.AF_UNIX).connect("\\0victim"); print("connected")
except OSError as error: print(error.strerror)'; cat /proc/sysvipc/*`,
    (said) => {
      expect(said).toStartWith("-1 -1 -1 -1 False\nConnection refused\n");
      expect(said).not.toContain("4711");
    },
  ));

test("the cgroup is the own one alone, and cannot be changed", () =>
  asBoth(
    `cat /proc/self/cgroup; find /sys/fs/cgroup -type d -path '*stator-*'; find /sys/fs/cgroup -mindepth 3 -type d
for file in $(find /sys/fs/cgroup -type f); do (echo 1 > $file) 2>/dev/null && echo wrote $file; done; mkdir /sys/fs/cgroup/{,memory/}mine 2>/dev/null && echo made`,
    (said) => {
      const rows = said.trim().split("\n");
      expect(rows.every((row) => /^\d+:[^:]*:\/$/.test(row))).toBe(true);
    },
  ));

test("of /sys there is what runtimes size themselves by, and nothing of other containers or of disks", () =>
  asBoth(
    "find /sys -maxdepth 1; find /sys/devices -maxdepth 2; ls -A /sys/kernel/mm; nproc",
    (said) => {
      for (const name of ["block", "class", "bus", "firmware", "power", "debug", "security", "dmi"])
        expect(said).not.toMatch(new RegExp(`/${name}$`, "m"));
      expect(said).toContain("/sys/devices/system/cpu");
      expect(said).toMatch(new RegExp(`^${navigator.hardwareConcurrency}$`, "m"));
    },
  ));

test("what /proc tells of the machine is masked or cannot be written", () =>
  asBoth(
    `for name in kcore keys key-users timer_list interrupts kallsyms modules diskstats partitions locks sched_debug vmallocinfo sysrq-trigger; do
  [ -e /proc/$name ] && [ -n "$(head -c 1 /proc/$name 2>/dev/null | tr -d '\\0')" ] && echo "saw $name"
done
ls -A /proc/{acpi,scsi,bus,driver,asound} 2>/dev/null | grep -Ev ':|^$' | sed 's/^/listed /'
for path in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/drop_caches /proc/sysrq-trigger /proc/sys/net/ipv4/ip_forward /proc/irq/default_smp_affinity; do
  (echo 1 > $path) 2>/dev/null && echo "wrote $path"
done
(echo -1000 > /proc/self/oom_score_adj) 2>/dev/null && echo "wrote oom_score_adj"; echo end`,
    (said) =>
      expect(
        said
          .split("\n")
          .filter(Boolean)
          .filter((row) => row !== "wrote /proc/sysrq-trigger"),
      ).toEqual(["end"]),
  ));

test("the devices are the usual six and terminals, and no others can be made", () =>
  asBoth(
    "for path in $(find /dev | sort); do case $path in /dev/pts/*) continue; esac; [ ! -L $path ] && { [ -c $path ] || [ -b $path ]; } && echo $path; done; mknod /tmp/disk b 254 0 2>/dev/null && echo made; mknod /dev/shm/null c 1 3 2>/dev/null && echo made",
    (said) =>
      expect(said.trim().split("\n")).toEqual(
        ["full", "null", "random", "tty", "urandom", "zero"].map((name) => `/dev/${name}`),
      ),
  ));

test("nothing of the host's files is seen or written but its software", () =>
  asBoth(
    `for path in /root /home /boot /var/lib /var/log /run /srv /media /etc/shadow /etc/ssh /lost+found; do
  [ -e $path ] && ls -A $path 2>/dev/null | sed "s|^|saw $path/|"
done
for path in / /etc /usr /usr/bin /opt /proc /sys /mnt /dev/pts; do touch $path/x 2>/dev/null && echo "wrote $path"; done; echo end`,
    (said) => expect(said).toBe("end\n"),
  ));

test("the name is the container's own and cannot be changed", () =>
  asBoth(
    "hostname; hostname other 2>/dev/null; hostname; domainname other 2>/dev/null; echo end",
    (said) => expect(said).toBe("inside\ninside\nend\n"),
  ));

test("100,000 open files: it gets no more than 10,000, and the others open theirs", async () => {
  const script = `import resource
try: resource.setrlimit(resource.RLIMIT_NOFILE, (100000, 100000))
except (ValueError, PermissionError) as error: print("refused")
files = []
try:
  while len(files) < 100000: files.append(open("/dev/null"))
except OSError as error: print(error.strerror, len(files))`;
  await asBoth(`python3 -c '${script}'`, (said) => {
    const [refused, held] = said.trim().split("\n");
    expect(refused).toBe("refused");
    expect(held).toMatch(/^Too many open files 99\d\d$/);
  });
});

test("a fork bomb is held by its limit, and others start", async () => {
  const { id } = await bench.start(
    // What waits in the end needs no process: it would get none.
    "exec 9<> <(:); bomb() { bomb | bomb & }; echo throwing; bomb 2>/dev/null & read -t 1000 -u 9",
    { limits: { ...limits, maxProcesses: 100 } },
  );
  await bench.said(id, "throwing");
  let most = 0;
  for (let tries = 0; tries < 200 && most < 90; tries++) {
    most = Math.max(most, bench.runtime.stats(id)?.processes ?? 0);
    await Bun.sleep(10);
  }
  expect(most).toBeGreaterThanOrEqual(90);
  expect(most).toBeLessThanOrEqual(100);
  expect((await bench.attached("echo alive")).text).toBe("alive\n");
  await bench.runtime.destroy(id);
});

test("a memory bomb ends itself, and its neighbour lives", async () => {
  const bomb = await bench.attached(
    "python3 -c 'held = []\nwhile True: held.append(bytearray(1 << 20))'",
    { limits: { ...limits, memoryBytes: 64 * mebibyte } },
  );
  expect(bomb.status).toBe(137);
  // Shared memory counts as well.
  const shared = await bench.attached("head -c 200000000 /dev/zero > /dev/shm/x; echo $?", {
    limits: { ...limits, memoryBytes: 32 * mebibyte },
  });
  expect(shared.text).not.toBe("0\n");
  expect(bench.runtime.stats(victim)?.outOfMemoryKills).toBe(0);
  expect(bench.runtime.stats(attacker)?.outOfMemoryKills).toBe(0);
});

test("busy loops leave the processor to others by their weight", async () => {
  const loops = "for n in 1 2 3 4 5 6 7 8; do while :; do :; done & done; echo turning; wait";
  const hogs = await bench.start(loops, { limits: { ...limits, cpuWeight: 100 } });
  const other = await bench.start(loops, { limits: { ...limits, cpuWeight: 100 } });
  await bench.said(other.id, "turning");
  const used = (id: string) => bench.runtime.stats(id)?.cpuMicroseconds ?? 0;
  const [before, otherBefore] = [used(hogs.id), used(other.id)];
  // Other work on the machine takes their time too, and not evenly: it evens out.
  const gained = () => [used(hogs.id) - before, used(other.id) - otherBefore] as const;
  await until("they had much", () => gained()[0] + gained()[1] > 5_000_000);
  const [hogsUs, otherUs] = gained();
  const share = otherUs / hogsUs;
  expect(share).toBeGreaterThan(0.5);
  expect(share).toBeLessThan(2);
  for (const { id } of [hogs, other]) await bench.runtime.destroy(id);
});
