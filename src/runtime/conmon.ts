import { chownSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { spawn } from "../lib/exec.ts";
import { readNumber, tryRead } from "./read-file.ts";

const monitorTimeoutMs = 20_000;
/** Bytes of output on disk before the monitor begins its file anew. */
const maxLogBytes = 64 * 1024 * 1024;
const pidFile = "conmon.pid";

export interface Monitored {
  id: string;
  bundle: string;
  /** Folder of exit statuses. */
  exits: string;
  /** The OCI runtime, and the folder of its state. */
  program: string;
  state: string;
  logPath: string;
}

/** Has a monitor make a container, not yet started; resolves to its pid, or throws why there is none. */
export async function startMonitor(container: Monitored): Promise<number> {
  const { id, bundle, exits, program, state, logPath } = container;
  const sync = join(bundle, "sync");
  writeFileSync(sync, "", { mode: 0o600 });
  const child = spawn(
    [
      "conmon",
      ...["--api-version", "1", "--cid", id, "--cuuid", id, "--name", id],
      ...["--runtime", program, "--runtime-arg", "--root", "--runtime-arg", state],
      ...["--bundle", bundle, "--persist-dir", bundle, "--exit-dir", exits],
      ...["--container-pidfile", join(bundle, "pid"), "--conmon-pidfile", join(bundle, pidFile)],
      ...["--log-path", `k8s-file:${logPath}`, "--log-size-max", String(maxLogBytes)],
      ...["--log-level", "error", "--full-attach"],
    ],
    {
      env: {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        XDG_RUNTIME_DIR: bundle,
        _OCI_SYNCPIPE: "3",
      },
      stdio: ["ignore", "ignore", "ignore", Bun.file(sync)],
    } as never,
  );
  await child.exited;
  const { pid, message } = await readSync(sync);
  if (pid <= 0) throw new Error(message ?? "the monitor ended");
  return pid;
}

/** The monitor says one JSON line when the container is made, or why it is not. */
async function readSync(path: string): Promise<{ pid: number; message?: string }> {
  const deadline = Date.now() + monitorTimeoutMs;
  for (;;) {
    const text = readFileSync(path, "utf8");
    if (text.includes("\n")) {
      const line = JSON.parse(text.split("\n")[0] as string) as {
        pid?: number;
        data?: number;
        message?: string;
      };
      return {
        pid: line.pid ?? line.data ?? -1,
        ...(line.message ? { message: line.message } : {}),
      };
    }
    if (Date.now() > deadline)
      return { pid: -1, message: `the monitor said nothing for ${monitorTimeoutMs / 1000} s` };
    await Bun.sleep(2);
  }
}

/** A program may open its output again, as `/dev/stdout`: for that the monitor's pipes must be its own. */
export function giveStreams(pid: number, user: number): void {
  for (const descriptor of [1, 2])
    try {
      chownSync(`/proc/${pid}/fd/${descriptor}`, user, user);
    } catch {
      // It ended already.
    }
}

/** Pid of a container's monitor while it is there. */
export function monitorOf(bundle: string): number | undefined {
  const pid = readNumber(join(bundle, pidFile));
  return pid !== undefined && isMonitor(pid) ? pid : undefined;
}

/** Waits a little for a monitor whose container is gone. */
export async function monitorEnded(bundle: string): Promise<void> {
  for (let tries = 0; tries < 200 && monitorOf(bundle) !== undefined; tries++) await Bun.sleep(5);
}

/** A zombie has ended: init reaps it when it likes. */
function isMonitor(pid: number): boolean {
  const status = tryRead(`/proc/${pid}/status`);
  return /^Name:\s+conmon$/m.test(status) && !/^State:\s+Z/m.test(status);
}
