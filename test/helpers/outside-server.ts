import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execOk, spawn } from "../../src/lib/exec.ts";
import { until, userEnvironment } from "./stator-server.ts";
import { wiredNamespace } from "./wired-namespace.ts";

const port = 8000;

/**
 * A web server that stands for the internet: in a network namespace behind a link of its own, since
 * builds reach nothing of this machine. It has git repositories (smart HTTP) and files; what lies below
 * `private/` is for `someone` with the password `opensesame` only.
 */
export async function startOutsideServer() {
  const folder = mkdtempSync(join(tmpdir(), "stator-outside-"));
  const wire = await wiredNamespace();
  const { namespace: name, here: host, there: outside } = wire;
  await execOk(["ip", "-n", name, "route", "add", "default", "via", host]);
  const program = join(import.meta.dir, "outside-server-process.ts");
  const server = spawn(
    ["ip", "netns", "exec", name, process.execPath, "--no-env-file", program, folder, String(port)],
    { stdout: "ignore", stderr: "inherit" },
  );
  const address = `http://${outside}:${port}`;
  await until("the outside server listens", () =>
    // One that is sent before the link is up gets no answer at all.
    fetch(address, { signal: AbortSignal.timeout(1000) }).then(
      () => true,
      () => false,
    ),
  );
  const environment = userEnvironment(folder);

  return {
    address,
    /** Where other programs that stand for the internet can be started, and what they are reached at. */
    there: { namespace: name, address: outside },
    withPassword: address.replace("//", "//someone:opensesame@"),
    path: (...parts: string[]) => join(folder, ...parts),
    /** Makes a repository of files, or commits to it; returns the commit. */
    async commit(repository: string, files: Record<string, string>, tag?: string): Promise<string> {
      const path = join(folder, repository);
      const git = (...args: string[]) => execOk(["git", "-C", path, ...args], { env: environment });
      mkdirSync(path, { recursive: true });
      await git("init", "--quiet", "--initial-branch=main");
      for (const [file, text] of Object.entries(files)) {
        mkdirSync(dirname(join(path, file)), { recursive: true });
        writeFileSync(join(path, file), text, { mode: file.startsWith("bin/") ? 0o755 : 0o644 });
      }
      await git("add", "--all");
      await git("commit", "--quiet", "--allow-empty", "-m", "A change");
      if (tag) await git("tag", "--force", "-m", tag, tag);
      return (await git("rev-parse", "HEAD")).trim();
    },
    /** What was asked for since the last call. */
    async asked(): Promise<string[]> {
      return (await (await fetch(`${address}/asked`)).json()) as string[];
    },
    async stop(): Promise<void> {
      server.kill();
      await server.exited;
      await wire.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type OutsideServer = Awaited<ReturnType<typeof startOutsideServer>>;
