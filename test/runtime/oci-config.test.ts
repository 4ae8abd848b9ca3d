import { expect, test } from "bun:test";
import { ociConfig } from "../../src/runtime/oci-config.ts";
import { seccompFilter } from "../../src/runtime/seccomp.ts";
import type { ContainerSpec } from "../../src/runtime/runtime.ts";

const host = {
  rootfs: "/box/rootfs",
  networkHook: "/run/hook",
  cgroupParent: "/stator-1a2b",
  shownLimit: (bytes: number) => `/run/limits/${bytes}`,
  sysFolders: ["/sys/devices/system/cpu"],
  unifiedCgroups: false,
  accountsSwap: true,
  limitsWriting: true,
};
const spec: ContainerSpec = {
  id: "c-1",
  hostname: "c-1",
  argv: ["/usr/bin/true"],
  environment: { A: "1", EMPTY: "", TEXT: "a=b\nc" },
  workingDirectory: "/app",
  hostIdBase: 0x7000_0000,
  mounts: [
    { kind: "overlay", lower: "/slug", upper: "/upper", work: "/work", target: "/app" },
    { kind: "bind", source: "/tmp-of-dyno", target: "/tmp", readOnly: false },
    { kind: "bind", source: "/tool", target: "/opt/tool", readOnly: true },
  ],
  limits: { memoryBytes: 512, cpuWeight: 100, maxProcesses: 256 },
  terminal: null,
  openPort: null,
  network: {
    slot: 5,
    interfaceName: "st1a2b-5",
    hostAddress: "198.18.0.21",
    containerAddress: "198.18.0.22",
  },
};
const config = ociConfig(spec, host);

test("a container has seven namespaces of its own and the ids of its app", () => {
  expect(config.linux.namespaces.map(({ type }) => type).sort()).toEqual([
    ...["cgroup", "ipc", "mount", "network", "pid", "user", "uts"],
  ]);
  expect(config.linux.uidMappings).toEqual([{ containerID: 0, hostID: 0x7000_0000, size: 65_536 }]);
  expect(config.linux.gidMappings).toEqual(config.linux.uidMappings);
});

test("its process is unprivileged, without capabilities, and gets no new ones", () => {
  expect(config.process.user).toMatchObject({ uid: 1000, gid: 1000 });
  expect(Object.values(config.process.capabilities)).toEqual([[], [], [], [], []]);
  expect(config.process.noNewPrivileges).toBe(true);
  expect(config.root).toEqual({ path: "/box/rootfs", readonly: true });
});

test("the environment is the one of the spec and nothing else", () => {
  expect(config.process.env).toEqual(["A=1", "EMPTY=", "TEXT=a=b\nc"]);
});

test("no mount brings set-uid programs, devices or a writable part of the host", () => {
  for (const mount of config.mounts) {
    if (mount.type === "bind" || mount.type === "overlay") {
      expect(mount.options).toContain("nosuid");
      expect(mount.options).toContain("nodev");
    }
  }
  const writable = config.mounts.filter(
    (mount) => mount.type === "bind" && !mount.options.includes("ro"),
  );
  expect(writable.map(({ source }) => source)).toEqual(["/tmp-of-dyno"]);
  for (const place of ["/sys/devices/system/cpu", "/sys/fs/cgroup", "/usr", "/opt/tool"])
    expect(config.mounts.find(({ destination }) => destination === place)?.options).toContain("ro");
});

test("an image has its own /usr and settings, and the platform's programs and addresses over it", () => {
  const { root, mounts } = ociConfig({ ...spec, rootfs: "/box/images/1/rootfs" }, host);
  expect(root).toEqual({ path: "/box/images/1/rootfs", readonly: true });
  const binds = mounts.filter(({ type }) => type === "bind");
  expect(binds.map(({ destination, source }) => [destination, source])).toEqual([
    ["/sys/devices/system/cpu", "/sys/devices/system/cpu"],
    ["/opt/stator", "/box/rootfs/opt/stator"],
    ["/etc/hosts", "/box/rootfs/etc/hosts"],
    ["/etc/resolv.conf", "/box/rootfs/etc/resolv.conf"],
    ["/etc/profile", "/box/rootfs/etc/profile"],
    ["/tmp", "/tmp-of-dyno"],
    ["/opt/tool", "/tool"],
  ]);
  for (const mount of binds)
    expect(mount.options).toEqual(
      expect.arrayContaining(["nosuid", "nodev", mount.destination === "/tmp" ? "rw" : "ro"]),
    );
});

test("limits are on memory, processes and the share of the processors", () => {
  expect(config.linux.resources).toMatchObject({
    ...{ memory: { limit: 512, swap: 512 }, pids: { limit: 256 }, cpu: { shares: 1024 } },
    devices: [{ allow: false, access: "rwm" }],
  });
  expect(config.linux.cgroupsPath).toBe("/stator-1a2b/c-1");
});

test("what the kernel kills at and what programs read may differ", () => {
  const limits = { ...spec.limits, memoryKillBytes: 2048 };
  for (const [unifiedCgroups, file] of [
    [true, "memory.max"],
    [false, "memory/memory.limit_in_bytes"],
  ] as const) {
    const { linux, mounts } = ociConfig({ ...spec, limits }, { ...host, unifiedCgroups });
    expect(linux.resources.memory).toEqual({ limit: 2048, swap: 2048 });
    expect(linux.resources.unified?.["memory.oom.group"]).toBe(unifiedCgroups ? "1" : undefined);
    const shown = mounts.find(({ destination }) => destination === `/sys/fs/cgroup/${file}`);
    expect(shown?.source).toBe("/run/limits/512");
    expect(shown?.options).toContain("ro");
  }
  const { resources } = ociConfig(spec, { ...host, accountsSwap: false }).linux;
  expect(resources.memory).toEqual({ limit: 512 });
});

test("what it writes to its disk is held back, where the kernel can", () => {
  const writing = { major: 7, minor: 12, bytesPerSecond: 1000 };
  const limited = { ...spec, limits: { ...spec.limits, writing } };
  expect(ociConfig(limited, host).linux.resources.blockIO).toEqual({
    throttleWriteBpsDevice: [{ major: 7, minor: 12, rate: 1000 }],
  });
  expect(config.linux.resources.blockIO).toBeUndefined();
  const elsewhere = ociConfig(limited, { ...host, limitsWriting: false });
  expect(elsewhere.linux.resources.blockIO).toBeUndefined();
});

test("only listed calls into the kernel are allowed, and those of the machine's own kind", () => {
  const { defaultAction, architectures, syscalls } = config.linux.seccomp;
  expect(defaultAction).toBe("SCMP_ACT_ERRNO");
  expect(architectures).toHaveLength(1);
  expect(seccompFilter("arm64").architectures).toEqual(["SCMP_ARCH_AARCH64"]);
  const named = (action: string) =>
    syscalls.filter((rule) => rule.action === action).flatMap(({ names }) => names);
  const dangerous = ["mount", "bpf", "unshare", "setns", "keyctl", "io_uring_setup", "ptrace"];
  expect(named("SCMP_ACT_ERRNO")).toEqual(expect.arrayContaining(dangerous));
  for (const name of dangerous) expect(named("SCMP_ACT_ALLOW")).not.toContain(name);
  // One rule a call, but where its arguments decide.
  const plain = syscalls.filter((rule) => !("args" in rule)).flatMap(({ names }) => names);
  expect(new Set(plain).size).toBe(plain.length);
});

test("a container without a network has no hook", () => {
  expect(ociConfig({ ...spec, network: null }, host).hooks).toEqual({});
  const [hook] = (config.hooks as { createRuntime: { args: string[] }[] }).createRuntime;
  expect(hook?.args).toEqual(["sh", "/run/hook", "st1a2b-5", "198.18.0.21", "198.18.0.22"]);
});
