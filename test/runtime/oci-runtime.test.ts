import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { exec, execOk } from "../../src/lib/exec.ts";
import { createOciRuntime } from "../../src/runtime/oci-runtime.ts";
import { findProcesses, until } from "../helpers/stator-server.ts";
import { runtimeSuite } from "./runtime-suite.ts";

const instance = `t${crypto.randomUUID().slice(0, 3)}`;

const suite = runtimeSuite({
  open: (folder) =>
    createOciRuntime({
      runDir: join(folder, "run"),
      addressesDir: join(folder, "addresses"),
      rootfs: join(folder, "rootfs"),
      instance,
    }),
  async traces(folder, id) {
    const cgroups = await exec(["find", "/sys/fs/cgroup", "-path", `*${instance}/${id}`]);
    const processes = await exec(["pgrep", "-f", id]);
    const bundle = join(folder, "run/containers", id);
    return [
      ...cgroups.stdout.split("\n"),
      ...processes.stdout.split("\n"),
      existsSync(bundle) ? bundle : "",
      existsSync(join(folder, "run/exits", id)) ? "exit status" : "",
    ].filter(Boolean);
  },
  async leftovers(folder) {
    const cgroups = await exec(["find", "/sys/fs/cgroup", "-name", `stator-${instance}`]);
    return [cgroups.stdout, existsSync(join(folder, "run")) ? "its folder" : ""].filter(Boolean);
  },
});
const { attached, output, start } = suite;

test("a container's link to the host goes with it", async () => {
  const id = `link-${crypto.randomUUID()}`;
  const network = suite.runtime.reserveAddress(id);
  await start("sleep 1000", { id, network });
  const isThere = async () =>
    (await exec(["ip", "link", "show", network.interfaceName])).exitCode === 0;
  expect(await isThere()).toBe(true);
  await suite.runtime.destroy(id);
  // The kernel takes namespaces away in its own time.
  await until("the link is gone", async () => !(await isThere()));
});

test("its monitor is in a group of its own, below the server's and beside the container's, with a part of the processors", async () => {
  const { id } = await start("sleep 1000");
  const [monitor] = findProcesses(id).filter(({ argv }) => argv[0]?.endsWith("conmon"));
  const groups = readFileSync(`/proc/${monitor?.pid}/cgroup`, "utf8").trim().split("\n");
  const apart = groups.filter((row) => row.endsWith(`/stator-${instance}/monitors`));
  expect(apart.length).toBeGreaterThanOrEqual(existsSync("/sys/fs/cgroup/cgroup.procs") ? 1 : 4);
  const cap = existsSync("/sys/fs/cgroup/cgroup.procs") ? "cpu.max" : "cpu.cfs_quota_us";
  const caps = await execOk([
    "find",
    "/sys/fs/cgroup",
    "-path",
    `*/stator-${instance}/monitors/${cap}`,
  ]);
  const [micros = ""] = readFileSync(caps.trim(), "utf8").split(/\s/);
  expect(Number(micros)).toBe(Math.max(1000, (10_000 * availableParallelism()) / 8));
  await suite.runtime.destroy(id);
});

test("memory has a limit", async () => {
  const { id } = await start(
    "head -c 400000000 /dev/zero | tail -c 399999999 > /dev/null; echo survived $?",
  );
  await suite.runtime.wait(id);
  expect(output(id)).not.toContain("survived 0");
  await suite.runtime.destroy(id);
});

test("a container without a network has a loopback alone", async () => {
  const { text } = await attached(
    "cat /proc/net/dev | tail -n +3 | wc -l; cat /proc/net/route | tail -n +2 | wc -l",
    null,
  );
  expect(text).toBe("1\n0\n");
});
