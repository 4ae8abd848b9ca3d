/** What a container is made of; `oci-config.ts` turns it into a bundle's config.json. */
export interface ContainerSpec {
  /** Unique on this machine; letters, digits and dashes. */
  id: string;
  hostname: string;
  /** An image's unpacked root (image/image-store.ts), read-only; left out: the machine's own software. */
  rootfs?: string | undefined;
  argv: string[];
  environment: Record<string, string>;
  workingDirectory: string;
  /** First of the 65,536 host ids that the container's user namespace maps to 0…65535. */
  hostIdBase: number;
  mounts: ContainerMount[];
  limits: ContainerLimits;
  /** Size of its terminal; `null`: it has pipes. */
  terminal: TerminalSize | null;
  /** `null`: a network namespace with nothing but a loopback. */
  network: NetworkAddress | null;
  /** The one port at which the host reaches it; `null`: it is reached by nobody. */
  openPort: number | null;
  /** `rootfs` is the user's to write, and nobody else's. */
  ownsRoot?: boolean;
  /** It makes images: root of its own ids, with the rights to mount and to give files away among them. */
  makesImages?: boolean;
}

export interface TerminalSize {
  columns: number;
  lines: number;
}

export type ContainerMount =
  | { kind: "bind"; source: string; target: string; readOnly: boolean }
  | { kind: "overlay"; lower: string; upper: string; work: string; target: string };

export interface ContainerLimits {
  /** What the container is told that it may use. */
  memoryBytes: number;
  /** What it is killed at by the kernel; as much as `memoryBytes` when left out. */
  memoryKillBytes?: number;
  /** 100 is one share. */
  cpuWeight: number;
  maxProcesses: number;
  /** How fast it may write to a disk; on cgroups of version 2. On version 1 the disk itself is slower. */
  writing?: WriteLimit;
}

/** The kernel's numbers of a block device. */
export interface Device {
  major: number;
  minor: number;
}

/** To a disk's device. */
export interface WriteLimit extends Device {
  bytesPerSecond: number;
}

/** One point-to-point link between the host and a container. */
export interface NetworkAddress {
  slot: number;
  /** Name of the host's end. */
  interfaceName: string;
  hostAddress: string;
  containerAddress: string;
}

/** A started container that outlives the server. */
export interface LiveContainer {
  id: string;
  /** Process id of its first process, as the host sees it. */
  pid: number;
}

export interface AttachedContainer {
  /** What the container's first process ends with; 128 + n after signal n. */
  exited: Promise<number>;
  write(bytes: Uint8Array): Promise<void> | void;
  endInput(): void;
  resize(size: TerminalSize): void;
  /** SIGHUP to its first process. */
  hangUp(): void;
}

/** What `exec` adds to a container. */
export type ContainerProgram = Pick<
  ContainerSpec,
  "argv" | "environment" | "workingDirectory" | "terminal"
>;

/** What a container uses, from the kernel's own figures. */
export interface ContainerStats {
  /** Working set: memory in use without page cache that can be dropped at once, and swap. */
  memoryBytes: number;
  /** How many of its processes the kernel has killed for want of memory. */
  outOfMemoryKills: number;
  cpuMicroseconds: number;
  processes: number;
}

/** Runs containers. What it started lives on when the server dies, but for attached ones. */
export interface Runtime {
  /** Starts a container under a monitor of its own; its output goes to `logPath`. */
  start(spec: ContainerSpec, options: { logPath: string }): Promise<LiveContainer>;
  /** Runs a container with its streams in the caller's hands. */
  attach(
    spec: ContainerSpec,
    options: {
      output(bytes: Uint8Array): void | Promise<void>;
      /** Standard output and standard error as one, in their order; else either may come first. */
      joined?: boolean;
    },
  ): AttachedContainer;
  /** Runs one more program in a container that runs, with its user and its walls. */
  exec(
    id: string,
    program: ContainerProgram,
    options: { output(bytes: Uint8Array): void | Promise<void> },
  ): AttachedContainer;
  /** What a container uses now, also after its end until it is destroyed; nothing when it is unknown. */
  stats(id: string): ContainerStats | undefined;
  /** Exit status of a started container; 128 + n after signal n. */
  wait(id: string): Promise<number>;
  /** Sends a signal to every process inside; nothing happens when it has ended. */
  signal(id: string, signal: "TERM" | "KILL" | "HUP"): Promise<void>;
  /** Ends whatever is left and removes every trace: processes, cgroup, bundle, address. */
  destroy(id: string): Promise<void>;
  /** What the kernel has, also from an earlier server: id to pid (`null`: it has ended). */
  list(): Promise<Map<string, number | null>>;
  /** Reserves an address until the container is destroyed. */
  reserveAddress(id: string): NetworkAddress;
  /** The address that was reserved for a container. */
  addressOf(id: string): NetworkAddress | undefined;
}
