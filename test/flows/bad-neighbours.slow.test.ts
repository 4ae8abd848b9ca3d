import { expect, test } from "bun:test";
import { availableParallelism } from "node:os";
import { badNeighbours } from "../helpers/bad-neighbours.ts";
import { constantRequests } from "../helpers/constant-requests.ts";
import { type DynoAnswer, nodePids, serveApp } from "../helpers/serve-app.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

const tag = `quiet-${crypto.randomUUID()}`;
const { stator, app: quiet } = await serveApp(probeFiles(tag));
const bad = await stator.createApp(probeFiles("bad"));
expect((await bad.push()).exitCode).toBe(0);

for (const [name, command] of Object.entries(badNeighbours))
  test(`${name} in a dyno fails no request of another app, and the platform can end it`, async () => {
    const before = { quiet: nodePids(tag), platform: [stator.pid, stator.routerPid] };
    const traffic = constantRequests(stator, quiet);
    const { name: dyno } = await bad.api<DynoAnswer>("POST", "/dynos", { command });
    await Bun.sleep(5000);
    const names = async () => (await bad.api<DynoAnswer[]>("GET", "/dynos")).map((one) => one.name);
    // R15 is the end of a memory bomb.
    if (name !== "a memory bomb") {
      expect(await names()).toContain(dyno);
      await bad.api("POST", `/dynos/${dyno}/actions/stop`);
    }
    await until(`${dyno} is gone`, async () => !(await names()).includes(dyno));
    const { failures, count } = await traffic.stop();
    expect(failures).toEqual([]);
    expect(count).toBeGreaterThan(100);
    expect({ quiet: nodePids(tag), platform: [stator.pid, stator.routerPid] }).toEqual(before);
  });

test("while people ask much, what nobody asks leaves them a processor; a server that starts anew gives it back", async () => {
  const all = availableParallelism();
  const command = 'while :; do echo "it finds $(nproc)."; sleep 1; done';
  const { name: dyno } = await bad.api<DynoAnswer>("POST", "/dynos", { command });
  const finds = (count: number) =>
    until(`${dyno} finds ${count} processors`, async () => {
      const found = (await bad.logs({ source: "app" })).match(/it finds \d+\.(?=\s*$)/)?.[0];
      return found === `it finds ${count}.`;
    });
  await finds(all);
  const traffic = constantRequests(stator, quiet);
  await finds(Math.max(1, all - 1));
  await stator.kill("SIGKILL");
  expect((await traffic.stop()).failures).toEqual([]);
  await stator.restart();
  await finds(all);
  await bad.api("POST", `/dynos/${dyno}/actions/stop`);
});
