import type { Runtime } from "./runtime.ts";

/**
 * crun starts faster but refuses hybrid cgroup hierarchies; what works is found by trying. One whose
 * `run` knows no `--keep` comes last: an attached container's figures would be gone with its end, and
 * programs of that age (crun 1.8) do not hand on a terminal's new size.
 */
export async function findOciProgram(
  use: (path: string, runOptions: string[]) => Runtime,
): Promise<void> {
  const complaints: string[] = [];
  for (const runOptions of [["--keep"], []])
    for (const name of ["crun", "runc"]) {
      const program = Bun.which(name, {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
      });
      const complaint = program ? await tryOut(use(program, runOptions)) : "not installed";
      if (program && complaint === null) return;
      complaints.push(`${[name, ...runOptions].join(" ")}: ${complaint}`);
    }
  throw new Error(`no container runtime works on this machine: ${complaints.join("; ")}`);
}

/** Runs `true` in a container; returns what went wrong, or null. */
async function tryOut(runtime: Runtime): Promise<string | null> {
  let said = "";
  const attached = runtime.attach(
    {
      id: `try-${crypto.randomUUID()}`,
      hostname: "try",
      argv: ["/usr/bin/true"],
      environment: {},
      workingDirectory: "/",
      hostIdBase: 0x7000_0000,
      mounts: [],
      limits: { memoryBytes: 64 * 1024 * 1024, cpuWeight: 100, maxProcesses: 32 },
      terminal: null,
      network: null,
      openPort: null,
    },
    {
      output(bytes) {
        said += new TextDecoder().decode(bytes);
      },
    },
  );
  const status = await attached.exited;
  return status === 0 ? null : said.trim() || `status ${status}`;
}
