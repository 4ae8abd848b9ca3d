import { expect } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { ociProcess } from "../../src/runtime/oci-config.ts";
import { createOciRuntime, type OciRuntime } from "../../src/runtime/oci-runtime.ts";
import type { ContainerProgram, ContainerSpec } from "../../src/runtime/runtime.ts";

export type ContainerBench = Awaited<ReturnType<typeof openContainerBench>>;
export const mebibyte = 1024 * 1024;

/** A runtime of its own in a temporary folder, and short ways to run scripts in its containers. */
export async function openContainerBench() {
  const instance = `t${crypto.randomUUID().slice(0, 7)}`;
  const folder = mkdtempSync(join(tmpdir(), "stator-runtime-"));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, "out"));
  const runtime: OciRuntime = await createOciRuntime({
    runDir: join(folder, "run"),
    addressesDir: join(folder, "addresses"),
    rootfs: join(folder, "rootfs"),
    instance,
  });

  function spec(script: string, change: Partial<ContainerSpec> = {}): ContainerSpec {
    return {
      id: `test-${crypto.randomUUID()}`,
      hostname: "inside",
      argv: ["/usr/bin/tini", "--", "bash", "-c", script],
      environment: { PATH: "/usr/local/bin:/usr/bin:/bin", WORD: "xyzzy", HOME: "/tmp" },
      workingDirectory: "/",
      hostIdBase: 0x7100_0000,
      mounts: [],
      limits: { memoryBytes: 128 * mebibyte, cpuWeight: 100, maxProcesses: 64 },
      terminal: null,
      openPort: null,
      network: null,
      ...change,
    };
  }
  const logPath = (id: string) => join(folder, "out", id);
  const output = (id: string) =>
    existsSync(logPath(id))
      ? readFileSync(logPath(id), "utf8").replace(/^\S+ \S+ [FP] /gm, "")
      : "";

  return {
    instance,
    folder,
    runtime,
    spec,
    output,
    /** A new folder that the containers' user may write to. */
    scratch(): string {
      const path = mkdtempSync(join(folder, "scratch-"));
      chmodSync(path, 0o777);
      return path;
    },
    async start(script: string, change: Partial<ContainerSpec> = {}) {
      const made = spec(script, change);
      const { pid } = await runtime.start(made, { logPath: logPath(made.id) });
      return { id: made.id, pid };
    },
    /** Waits until a container has said a word. */
    async said(id: string, word: string): Promise<void> {
      for (let tries = 0; tries < 5000 && !output(id).includes(word); tries++) await Bun.sleep(10);
      expect(output(id)).toContain(word);
    },
    /** Runs a script in a container of its own to its end. */
    async attached(
      script: string,
      change: Partial<ContainerSpec> = {},
      input: string | null = null,
    ) {
      let text = "";
      const run = runtime.attach(spec(script, change), {
        output: (bytes) => void (text += Buffer.from(bytes).toString("latin1")),
      });
      if (input !== null) await run.write(Buffer.from(input));
      if (!change.terminal) run.endInput();
      return { status: await run.exited, text };
    },
    /** Adds a program to a container; `type` is what is written to it first. */
    exec(id: string, script: string, change: Partial<ContainerProgram> = {}) {
      const added = { text: "" };
      const run = runtime.exec(
        id,
        {
          argv: ["bash", "-c", script],
          environment: { PATH: "/usr/local/bin:/usr/bin:/bin", EXTRA: "plugh" },
          workingDirectory: "/",
          terminal: null,
          ...change,
        },
        { output: (bytes) => void (added.text += Buffer.from(bytes).toString("latin1")) },
      );
      return { ...run, said: () => added.text };
    },
    /** Adds a program that is root of the container's user namespace, with the same walls otherwise. */
    async execAsRoot(id: string, script: string): Promise<string> {
      const process = {
        ...ociProcess({
          argv: ["bash", "-c", script],
          environment: { PATH: "/usr/local/bin:/usr/bin:/bin" },
          ...{ workingDirectory: "/", terminal: null },
        }),
        user: { uid: 0, gid: 0, umask: 0o022 },
      };
      const file = join(folder, `root-${crypto.randomUUID()}.json`);
      writeFileSync(file, JSON.stringify(process));
      for (const program of ["crun", "runc"]) {
        const argv = [program, "--root", join(folder, "run/runtime")] as const;
        if ((await exec([...argv, "state", id])).exitCode !== 0) continue;
        const { stdout, stderr } = await exec([...argv, "exec", "--process", file, id]);
        return stdout + stderr;
      }
      throw new Error(`no runtime knows ${id}`);
    },
    /** Ends everything and proves that nothing is left. */
    async close(): Promise<void> {
      for (const id of (await runtime.list()).keys()) await runtime.destroy(id);
      runtime.close();
      await runtime.remove();
      const cgroups = await exec(["find", "/sys/fs/cgroup", "-name", `stator-${instance}`]);
      // The kernel takes down the links of a dead namespace when it likes.
      const links = () => exec(["ip", "-brief", "link"]).then(({ stdout }) => stdout);
      for (let tries = 0; tries < 100 && (await links()).includes(`st${instance}-`); tries++)
        await Bun.sleep(50);
      const tables = await exec(["nft", "list", "tables"]);
      const run = existsSync(join(folder, "run"));
      rmSync(folder, { recursive: true });
      expect(cgroups.stdout).toBe("");
      expect(await links()).not.toContain(`st${instance}-`);
      expect(tables.stdout).not.toContain(`stator_${instance}`);
      expect(run).toBe(false);
    },
  };
}
