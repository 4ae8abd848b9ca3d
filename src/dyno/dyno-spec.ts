import { hostIdBase } from "../lib/id-range.ts";
import type { App } from "../model/app.ts";
import type { ConfigVars } from "../model/config-vars.ts";
import { type Dyno, dynoName } from "../model/dyno.ts";
import { dynoSizes, findDynoSize } from "../model/dyno-size.ts";
import type { ContainerSpec, NetworkAddress, TerminalSize } from "../runtime/runtime.ts";

/** Folders of one dyno's own: what it writes, gone with it (contract §1.4). */
export interface DynoFolders {
  upper: string;
  work: string;
  tmp: string;
}

/** Turns app, release and size into a container (contract §1.1, §1.3). Pure. */
export function dynoSpec(options: {
  app: App;
  dyno: Dyno;
  slugFolder: string;
  folders: DynoFolders;
  config: ConfigVars;
  environment: Record<string, string>;
  network: NetworkAddress;
  terminal: TerminalSize | null;
}): ContainerSpec {
  const { app, dyno, folders, network } = options;
  const size = findDynoSize(dyno.size) ?? (dynoSizes[0] as (typeof dynoSizes)[number]);
  return {
    id: dyno.id,
    hostname: dyno.id,
    // A login shell reads .profile.d and .profile; tini reaps what the app orphans.
    argv: ["/usr/bin/tini", "--", "bash", "--login", "-c", dyno.command],
    environment: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      LANG: "C.UTF-8",
      ...options.config,
      ...options.environment,
      HOME: "/app",
      PWD: "/app",
      DYNO: dynoName(dyno),
      PORT: String(dyno.port),
    },
    workingDirectory: "/app",
    hostIdBase: hostIdBase(app.idRange),
    mounts: [
      {
        kind: "overlay",
        lower: options.slugFolder,
        upper: folders.upper,
        work: folders.work,
        target: "/app",
      },
      { kind: "bind", source: folders.tmp, target: "/tmp", readOnly: false },
    ],
    limits: {
      memoryBytes: size.memoryBytes,
      cpuWeight: size.cpuWeight,
      maxProcesses: size.maxProcesses,
    },
    terminal: options.terminal,
    network,
    openPort: dyno.type === "web" ? dyno.port : null,
  };
}
