/** What a container is made of; `oci-config.ts` turns it into a bundle's config.json. */
export interface ContainerSpec {
  /** Unique on this machine; letters, digits and dashes. */
  id: string;
  hostname: string;
  argv: string[];
  environment: Record<string, string>;
  workingDirectory: string;
  /** First of the 65,536 host ids that the container's user namespace maps to 0…65535. */
  hostIdBase: number;
  mounts: ContainerMount[];
  limits: ContainerLimits;
  terminal: boolean;
  /** `null`: a network namespace with nothing but a loopback. */
  network: NetworkAddress | null;
}

export type ContainerMount =
  | { kind: "bind"; source: string; target: string; readOnly: boolean }
  | { kind: "overlay"; lower: string; upper: string; work: string; target: string };

export interface ContainerLimits {
  memoryBytes: number;
  /** 100 is one share. */
  cpuWeight: number;
  maxProcesses: number;
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
  resize(size: { columns: number; lines: number }): void;
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
      terminal: { columns: number; lines: number } | null;
    },
  ): AttachedContainer;
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
