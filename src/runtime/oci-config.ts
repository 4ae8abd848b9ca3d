import { join } from "node:path";
import { sharesOf } from "./cgroup.ts";
import type {
  ContainerLimits,
  ContainerMount,
  ContainerProgram,
  ContainerSpec,
  NetworkAddress,
  WriteLimit,
} from "./runtime.ts";
import { imageMakerFilter, seccompFilter } from "./seccomp.ts";

export interface HostParts {
  /** The skeleton that every container has as its read-only root. */
  rootfs: string;
  /** Script that the runtime calls to connect a new network namespace. */
  networkHook: string;
  /** Parent of all cgroups of this server, as `/stator-1a2b`. */
  cgroupParent: string;
  /** A file that everybody may read, with nothing but this number in it. */
  shownLimit(bytes: number): string;
  /** Those of `sysFolders` that this machine has. */
  sysFolders: string[];
  /** Version 2 of cgroups alone. */
  unifiedCgroups: boolean;
  /** Whether the kernel can limit swap. */
  accountsSwap: boolean;
  /** Whether the kernel can hold back what writes to a disk. */
  limitsWriting: boolean;
}

const idsPerContainer = 65_536;
/** The user inside that dynos and builds run as. */
export const containerUser = { uid: 1000, gid: 1000, name: "dyno" };

/** Turns a spec into the config.json of an OCI bundle. Pure. */
export function ociConfig(spec: ContainerSpec, host: HostParts) {
  const mapping = [{ containerID: 0, hostID: spec.hostIdBase, size: idsPerContainer }];
  return {
    ociVersion: "1.0.2",
    hostname: spec.hostname,
    root: { path: spec.rootfs ?? host.rootfs, readonly: !spec.ownsRoot },
    process: spec.makesImages ? imageMaker(ociProcess(spec)) : ociProcess(spec),
    mounts: [
      ...standardMounts,
      ...shownLimits(spec.limits, host),
      ...host.sysFolders.map(hostMount),
      ...(spec.rootfs === undefined ? hostFolders.map(hostMount) : ownPartsOf(spec, host)),
      ...spec.mounts.map(ociMount),
    ],
    hooks: spec.network ? { createRuntime: [networkHook(host.networkHook, spec.network)] } : {},
    linux: {
      namespaces: ["pid", "mount", "network", "ipc", "uts", "cgroup", "user"].map((type) => ({
        type,
      })),
      uidMappings: mapping,
      gidMappings: mapping,
      cgroupsPath: `${host.cgroupParent}/${spec.id}`,
      resources: {
        memory: memoryLimit(spec.limits, host),
        cpu: { shares: sharesOf(spec.limits.cpuWeight) },
        pids: { limit: spec.limits.maxProcesses },
        ...(host.limitsWriting && spec.limits.writing ? writeLimit(spec.limits.writing) : {}),
        devices: [{ allow: false, access: "rwm" }],
        // Out of memory: all of it goes, and not one process, which leaves an app that is half there.
        ...(host.unifiedCgroups ? { unified: { "memory.oom.group": "1" } } : {}),
      },
      seccomp: spec.makesImages ? imageMakerFilter() : seccompFilter(),
      maskedPaths,
      readonlyPaths: ["/proc/sys", "/proc/irq", "/proc/fs"],
    },
  };
}

/** How a program starts inside, the first one and those that `exec` adds: the same walls. Pure. */
export function ociProcess(program: ContainerProgram) {
  const { terminal } = program;
  return {
    terminal: terminal !== null,
    ...(terminal ? { consoleSize: { width: terminal.columns, height: terminal.lines } } : {}),
    user: { uid: containerUser.uid, gid: containerUser.gid, umask: 0o022 },
    args: program.argv,
    env: Object.entries(program.environment).map(([key, value]) => `${key}=${value}`),
    cwd: program.workingDirectory,
    noNewPrivileges: true,
    capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },
    rlimits: [
      { type: "RLIMIT_NOFILE", soft: 10_000, hard: 10_000 },
      // Not 0: a kernel that hands core dumps to a program of the host does so even then (core(5)).
      { type: "RLIMIT_CORE", soft: 1, hard: 1 },
    ],
  };
}

/**
 * What a Dockerfile needs: to be root among the container's own ids, to mount layers, and to leave for
 * another root. None of it counts outside of the container's own namespaces.
 */
function imageMaker(process: ReturnType<typeof ociProcess>) {
  return {
    ...process,
    user: { uid: 0, gid: 0, umask: 0o022 },
    capabilities: {
      ...process.capabilities,
      ...{ bounding: imageMakerRights, effective: imageMakerRights, permitted: imageMakerRights },
    },
  };
}

const imageMakerRights =
  "CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_CHROOT"
    .split(" ")
    .map((name) => `CAP_${name}`);

/** What the kernel holds it to; swap does not extend it. */
function writeLimit({ major, minor, bytesPerSecond: rate }: WriteLimit) {
  return { blockIO: { throttleWriteBpsDevice: [{ major, minor, rate }] } };
}

function memoryLimit(limits: ContainerLimits, host: HostParts) {
  const limit = limits.memoryKillBytes ?? limits.memoryBytes;
  return { limit, ...(host.accountsSwap ? { swap: limit } : {}) };
}

/**
 * Programs size themselves by the limit that they read (Node.js, Java, WEB_CONCURRENCY): where the
 * kernel kills later, a file with the limit that counts lies over the kernel's.
 */
function shownLimits({ memoryBytes, memoryKillBytes }: ContainerLimits, host: HostParts) {
  if (memoryKillBytes === undefined || memoryKillBytes === memoryBytes) return [];
  const files = host.unifiedCgroups
    ? ["memory.max"]
    : [
        "memory/memory.limit_in_bytes",
        ...(host.accountsSwap ? ["memory/memory.memsw.limit_in_bytes"] : []),
      ];
  return files.map((file) => ({
    destination: `/sys/fs/cgroup/${file}`,
    type: "bind",
    source: host.shownLimit(memoryBytes),
    options: ["bind", "rprivate", "ro", "nosuid", "nodev", "noexec"],
  }));
}

/** What tells of the machine and of others on it, and no program needs. */
const maskedPaths =
  "acpi asound bus diskstats driver interrupts kallsyms kcore key-users keys latency_stats locks modules partitions sched_debug schedstat scsi slabinfo softirqs sysrq-trigger timer_list timer_stats vmallocinfo"
    .split(" ")
    .map((name) => `/proc/${name}`);

const standardMounts = [
  {
    destination: "/proc",
    type: "proc",
    source: "proc",
    // The runtime's own process, when it comes in to add a program, is nobody's to look at.
    options: ["nosuid", "noexec", "nodev", "hidepid=2"],
  },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=64k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"],
  },
  {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["nosuid", "noexec", "nodev", "ro"],
  },
];

/** Of /sys, which tells of disks, networks and other containers, only what runtimes read to size themselves. */
export const sysFolders = [
  "/sys/devices/system/cpu",
  "/sys/devices/system/node",
  "/sys/kernel/mm/transparent_hugepage",
];

/** The host's software, read-only and without its set-uid bits; of its settings only these. */
const hostFolders = ["/usr", "/etc/alternatives", "/etc/ssl/certs"];

/** What of the skeleton lies over an image: the platform's programs, and what is true of this machine. */
const ownParts = ["/opt/stator", "/etc/hosts", "/etc/resolv.conf", "/etc/profile"];

/** In a root of its own the shells are its own, too. */
function ownPartsOf({ ownsRoot }: ContainerSpec, { rootfs }: HostParts) {
  return ownParts
    .filter((path) => !ownsRoot || path !== "/etc/profile")
    .map((path) => ({ ...hostMount(path), source: join(rootfs, path) }));
}

function hostMount(path: string) {
  const options = ["rbind", "rprivate", "ro", "nosuid", "nodev"];
  return {
    ...{ destination: path, type: "bind", source: path },
    options: path.startsWith("/sys/") ? [...options, "noexec"] : options,
  };
}

function ociMount(mount: ContainerMount) {
  if (mount.kind === "overlay")
    return {
      destination: mount.target,
      type: "overlay",
      source: "overlay",
      options: [
        "nosuid",
        "nodev",
        `lowerdir=${mount.lower}`,
        `upperdir=${mount.upper}`,
        `workdir=${mount.work}`,
        "userxattr",
      ],
    };
  return {
    destination: mount.target,
    type: "bind",
    source: mount.source,
    // Private: on hosts whose mounts are shared, one mount inside another would come out there.
    options: ["rbind", "rprivate", "nosuid", "nodev", mount.readOnly ? "ro" : "rw"],
  };
}

function networkHook(script: string, address: NetworkAddress) {
  return {
    path: "/bin/sh",
    args: ["sh", script, address.interfaceName, address.hostAddress, address.containerAddress],
    env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
    timeout: 10,
  };
}
