import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { exec, spawn } from "../../src/lib/exec.ts";
import { unifiedCgroups } from "../../src/runtime/cgroup.ts";
import { createOciRuntime } from "../../src/runtime/oci-runtime.ts";
import { findProcesses, until } from "../helpers/stator-server.ts";
import { runtimeSuite } from "./runtime-suite.ts";

const instance = `t${crypto.randomUUID().slice(0, 7)}`;

const open = (folder: string) =>
  createOciRuntime({
    runDir: join(folder, "run"),
    addressesDir: join(folder, "addresses"),
    rootfs: join(folder, "rootfs"),
    instance,
  });
const suite = runtimeSuite({
  open,
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

test("its monitor is in a group of its own, below the server's and beside the container's, with a part of the processors, and goes with it", async () => {
  const { id } = await start("sleep 1000");
  const [monitor] = findProcesses(id).filter(({ argv }) => argv[0]?.endsWith("conmon"));
  const groups = readFileSync(`/proc/${monitor?.pid}/cgroup`, "utf8").trim().split("\n");
  const all = `/stator-${instance}/monitors`;
  const apart = groups.filter((row) => row.endsWith(all) || row.endsWith(`${all}/${id}`));
  expect(apart.length).toBeGreaterThanOrEqual(unifiedCgroups ? 1 : 4);
  expect(apart.filter((row) => row.endsWith(`/${id}`))).toHaveLength(1);
  const hierarchy = join("/sys/fs/cgroup", unifiedCgroups ? "" : "cpu");
  const cap = (group: string) =>
    readFileSync(
      join(hierarchy, group, unifiedCgroups ? "cpu.max" : "cpu.cfs_quota_us"),
      "utf8",
    ).split(/\s/)[0];
  expect(cap(`${all}/${id}`)).toBe("2500");
  expect(cap(all)).toBe(String(1250 * availableParallelism()));
  await suite.runtime.destroy(id);
  expect(readdirSync(join(hierarchy, all)).filter((name) => name === id)).toEqual([]);
});

test("the router's processes are in one group beside the containers', which weighs more than theirs", async () => {
  const { id } = await start("sleep 1000");
  const router = spawn(["sleep", "60"]);
  for (let again = 0; again < 2; again++) await suite.runtime.putFirst([router.pid, 2 ** 30]);
  const parent = join("/sys/fs/cgroup", unifiedCgroups ? "" : "cpu", `stator-${instance}`);
  const read = (group: string, file: string) =>
    readFileSync(join(parent, group, file), "utf8").trim();
  expect(read("router", "cgroup.procs")).toBe(String(router.pid));
  const weight = (group: string) =>
    Number(read(group, unifiedCgroups ? "cpu.weight" : "cpu.shares"));
  expect(weight("router")).toBeGreaterThanOrEqual(weight(id) * 10);
  router.kill();
  await router.exited;
  await suite.runtime.destroy(id);
});

/** Those that a program finds when it asks the kernel, as people do. */
const countProcessors = "while :; do nproc; sleep 0.1; done";

test("while one is asked, all others leave it a processor, also those that come later; then they have all again", async () => {
  const all = String(availableParallelism());
  const fewer = String(Math.max(1, availableParallelism() - 1));
  const nprocOf = (id: string) => /F (\d+)\n$/.exec(output(id))?.[1];
  const finds = (id: string, count: string) =>
    until(`${id} finds ${count} processors`, () => nprocOf(id) === count);
  const [web, idle] = [await start(countProcessors), await start(countProcessors)];
  await finds(web.id, all);
  suite.runtime.leaveProcessorTo(new Set([web.id]));
  const later = await start(countProcessors);
  for (const { id } of [idle, later]) await finds(id, fewer);
  expect(nprocOf(web.id)).toBe(all);
  suite.runtime.leaveProcessorTo(new Set([idle.id]));
  await Promise.all([finds(idle.id, all), finds(web.id, fewer)]);
  suite.runtime.leaveProcessorTo(null);
  await Promise.all([web, idle, later].map(({ id }) => finds(id, all)));

  const successor = await open(suite.folder);
  successor.leaveProcessorTo(new Set([web.id]));
  await Promise.all([idle, later].map(({ id }) => finds(id, fewer)));
  // Nobody would give it back while no server is there.
  successor.close();
  await Promise.all([idle, later].map(({ id }) => finds(id, all)));
  for (const { id } of [web, idle, later]) await suite.runtime.destroy(id);
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
