import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { exec } from "../../src/lib/exec.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { findProcesses, probeFiles, sweep, until } from "../helpers/stator-server.ts";

const tag = `probe-${crypto.randomUUID()}`;

const { stator, app } = await serveApp(
  probeFiles(tag, { Procfile: `web: node server.js ${tag}\nworker: exec -a ${tag} sleep 600\n` }),
);
await app.api("PATCH", "/formation", {
  updates: [
    { type: "web", quantity: 2 },
    { type: "worker", quantity: 1 },
  ],
});

const names = async () =>
  (await app.api<{ name: string; state: string }[]>("GET", "/dynos")).map(
    ({ name, state }) => `${name} ${state}`,
  );
const all = "web.1 up,web.2 up,worker.1 up";

test("after a reboot (no process, no mount, no cgroup, no rule, no /run) every app comes back by itself", async () => {
  await until("all are up", async () => (await names()).join() === all);
  await stator.kill("SIGKILL");
  await sweep(stator.dataDir);
  rmSync(`${stator.dataDir}/router/router.sock`, { force: true });
  expect(findProcesses(tag)).toEqual([]);
  await stator.restart();
  await until("all are up again", async () => (await names()).join() === all);
  expect(await (await app.get()).text()).toBe(`version ${tag}`);
});

test("what somebody else does to the firewall and the addresses is put right within seconds", async () => {
  const reaches = async () => {
    const answer = await app.get("/", { signal: AbortSignal.timeout(5_000) }).catch(() => null);
    return answer?.status === 200;
  };
  // Else it may be put right before anybody has seen it.
  process.kill(stator.pid, "SIGSTOP");
  const links = (await exec(["ip", "-oneline", "link"])).stdout
    .split("\n")
    .flatMap((row) => /^\d+: (st[^@:]+)[@:]/.exec(row)?.[1] ?? [])
    .filter((name) => name.startsWith(`st${stator.instance}-`));
  expect(links.length).toBe(3);
  for (const link of links) await exec(["ip", "link", "delete", link]);
  expect(await reaches()).toBe(false);
  await exec(["nft", "delete", "table", "inet", `stator_${stator.instance}`]);
  process.kill(stator.pid, "SIGCONT");
  // One dyno is repaired before the other: so often in a row is only luck when both are.
  await until("the app is reached again", async () => {
    for (let times = 0; times < 20; times++) if (!(await reaches())) return false;
    return true;
  });
  await until(
    "the rules are there again",
    async () =>
      (await exec(["nft", "list", "table", "inet", `stator_${stator.instance}`])).exitCode === 0,
  );
  const knock =
    "timeout 1 bash -c 'exec 3<>/dev/tcp/169.254.169.254/80' && echo open || echo closed";
  expect(await app.shell(knock)).toContain("closed");
});
