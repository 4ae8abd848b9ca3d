import { expect, test } from "bun:test";
import { constantRequests } from "../helpers/constant-requests.ts";
import { nodePids, serveApp } from "../helpers/serve-app.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

const tag = `probe-${crypto.randomUUID()}`;

const { stator, app } = await serveApp(probeFiles(tag));

const dynoPids = () => nodePids(tag);

test("kill -9 in the middle of a restart, again and again: no request fails, one dyno bears the name", async () => {
  const traffic = constantRequests(stator, app);
  for (const afterMs of [20, 50, 70, 90, 110, 130]) {
    const restarting = app.api("DELETE", "/dynos").catch(() => {});
    await Bun.sleep(afterMs);
    await stator.kill("SIGKILL");
    await restarting;
    await stator.restart();
    await until("one dyno is left", async () => {
      const dynos = await app.api<{ state: string }[]>("GET", "/dynos");
      return dynos.length === 1 && dynos[0]?.state === "up" && dynoPids().length === 1;
    });
  }
  expect((await traffic.stop()).failures).toEqual([]);
});

test("kill -9 in the middle of a roll-out, again and again: no request fails, one dyno is left", async () => {
  const traffic = constantRequests(stator, app);
  for (const afterMs of [5, 60, 120, 180, 250]) {
    await app.api("PATCH", "/config-vars", { ROUND: String(afterMs) });
    await Bun.sleep(afterMs);
    await stator.kill("SIGKILL");
    await Bun.sleep(100);
    await stator.restart();
    await until("one dyno is left", async () => {
      const dynos = await app.api<{ state: string }[]>("GET", "/dynos");
      return dynos.length === 1 && dynos[0]?.state === "up" && dynoPids().length === 1;
    });
  }
  const { failures, count } = await traffic.stop();
  expect(failures).toEqual([]);
  expect(count).toBeGreaterThan(200);
  const releases = await app.api<{ status: string }[]>("GET", "/releases");
  expect(releases.map(({ status }) => status)).not.toContain("pending");
});

test("kill -9 before the router knows of the new dyno: it is told before the old one ends", async () => {
  const traffic = constantRequests(stator, app);
  for (let round = 0; round < 3; round++) {
    const master = stator.routerPid as number;
    // Its workers serve on; a new table waits.
    process.kill(master, "SIGSTOP");
    const restarting = app.api("DELETE", "/dynos").catch(() => {});
    await until("the old one is to leave", async () => {
      const dynos = await app.api<{ state: string }[]>("GET", "/dynos");
      return dynos.length === 1 && dynos[0]?.state === "up" && dynoPids().length === 2;
    });
    await stator.kill("SIGKILL");
    process.kill(master, "SIGCONT");
    await restarting;
    await stator.restart();
    await until("one dyno is left", () => dynoPids().length === 1);
  }
  expect((await traffic.stop()).failures).toEqual([]);
});

test("what runs after that is what the store says: release and config agree", async () => {
  const vars = await app.api<Record<string, string>>("GET", "/config-vars");
  await app.api("PATCH", "/config-vars", { LAST: "yes" });
  await until("the newest config is in the dyno", async () => {
    const environment = (await (await app.get("/env")).json()) as Record<string, string>;
    return environment.LAST === "yes" && environment.ROUND === vars.ROUND;
  });
});

test("a config change that was acknowledged reaches the dynos, although the server died at once", async () => {
  await app.api("PATCH", "/config-vars", { ACKNOWLEDGED: "yes" });
  await stator.kill("SIGKILL");
  await stator.restart();
  await until("the dyno has it", async () => {
    const response = await app.get("/env");
    return ((await response.json()) as Record<string, string>).ACKNOWLEDGED === "yes";
  });
  const releases = await app.api<{ version: number; status: string }[]>("GET", "/releases");
  releases.sort((one, other) => other.version - one.version);
  expect(releases[0]?.status).toBe("succeeded");
});

test("kill -9 of server, router and dyno at once: the next server brings all of them back", async () => {
  const [dyno] = dynoPids();
  await stator.kill("SIGKILL");
  process.kill(stator.routerPid as number, "SIGKILL");
  process.kill(dyno as number, "SIGKILL");
  await stator.restart();
  await until("it answers", async () => {
    try {
      return (await app.get()).status === 200;
    } catch {
      return false;
    }
  });
});
