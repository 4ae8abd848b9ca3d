import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { tryRead } from "../../src/runtime/read-file.ts";
import { constantRequests } from "../helpers/constant-requests.ts";
import { nodePids } from "../helpers/serve-app.ts";
import {
  findProcesses,
  probeFiles,
  startStator,
  type StatorApp,
  type StatorServer,
  until,
} from "../helpers/stator-server.ts";

const kills = 50;
const tag = `busy-${crypto.randomUUID()}`;
const quietTag = `quiet-${crypto.randomUUID()}`;
let stator: StatorServer;
/** Nothing is done to it: the same processes serve to the end. */
let quiet: StatorApp;
let busy: StatorApp;

beforeAll(async () => {
  stator = await startStator();
  quiet = await stator.createApp(probeFiles(quietTag));
  busy = await stator.createApp(
    probeFiles("0", { Procfile: `web: node server.js ${tag}\nworker: exec -a ${tag} sleep 600\n` }),
  );
  for (const app of [quiet, busy]) expect((await app.push()).exitCode).toBe(0);
  await quiet.api("PATCH", "/formation", { updates: [{ type: "web", quantity: 2 }] });
  await until("both are up", () => nodePids(quietTag).length === 2);
});
afterAll(() => stator.stop());

const random = (below: number) => Math.floor(Math.random() * below);
/** Something a person may do; resolves to what was acknowledged. */
const deeds: ((round: number) => Promise<void>)[] = [
  async (round) => {
    await busy.api("PATCH", "/config-vars", { ROUND: String(round) });
    if (acknowledged.rolledBackIn !== round) acknowledged.round = round;
  },
  async (round) => {
    busy.write({ "round.txt": String(round) });
    await busy.commit();
    const push = await busy.push();
    if (push.exitCode === 0)
      acknowledged.pushed = (await busy.git("rev-parse", "HEAD")).stdout.trim();
  },
  async () => {
    const quantity = 1 + random(3);
    await busy.api("PATCH", "/formation", {
      updates: [
        { type: "web", quantity },
        { type: "worker", quantity: random(2) },
      ],
    });
  },
  async () => void (await busy.api("DELETE", "/dynos")),
  async () => void (await busy.api("POST", "/dynos", { command: "sleep 0.2; echo ran" })),
  async (round) => {
    // It may take a config var back also when its answer never comes.
    acknowledged.rolledBackIn = round;
    delete acknowledged.round;
    const releases = await busy.api<{ version: number; eligible_for_rollback: boolean }[]>(
      "GET",
      "/releases",
    );
    const good = releases.filter((release) => release.eligible_for_rollback);
    const release = good[random(good.length)];
    if (release) await busy.api("POST", "/releases", { release: `v${release.version}` });
  },
];
/** What the platform said is done: the config var of a round, a pushed commit. */
const acknowledged: { round?: number; rolledBackIn?: number; pushed?: string } = {};

test(`kill -9 of the server at ${kills} random moments: nobody's request fails, nothing is lost, nothing is left over`, async () => {
  const before = nodePids(quietTag);
  const traffic = constantRequests(stator, quiet);
  const busyTraffic = constantRequests(stator, busy, { keepAlive: 1, fresh: 1 });
  for (let round = 0; round < kills; round++) {
    const doing = Promise.allSettled([
      deeds[round % deeds.length]?.(round),
      deeds[random(deeds.length)]?.(round),
    ]);
    await Bun.sleep(random(700));
    await stator.kill("SIGKILL");
    await doing;
    await stator.restart();
    if (round % 10 === 9) await settled();
  }
  await settled();
  expect((await traffic.stop()).failures).toEqual([]);
  expect((await busyTraffic.stop()).failures).toEqual([]);
  expect(nodePids(quietTag)).toEqual(before);
  const dynos = await quiet.api<{ name: string; state: string }[]>("GET", "/dynos");
  expect(dynos.map(({ name, state }) => `${name} ${state}`)).toEqual(["web.1 up", "web.2 up"]);
});

interface Formation {
  type: string;
  quantity: number;
}

/** Waits until what runs is what the store says, exactly, on all levels of the machine. */
async function settled(): Promise<void> {
  let problem = "";
  await until("all is as the store says", async () => {
    problem = await difference();
    return problem === "";
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${problem}`);
  });
  const vars = await busy.api<Record<string, string>>("GET", "/config-vars");
  if (acknowledged.round !== undefined)
    expect(Number(vars.ROUND)).toBeGreaterThanOrEqual(acknowledged.round);
  if (acknowledged.pushed === undefined) return;
  expect((await busy.git("fetch", "-q", "stator", "main")).exitCode).toBe(0);
  const kept = await busy.git("merge-base", "--is-ancestor", acknowledged.pushed, "FETCH_HEAD");
  expect(kept.exitCode).toBe(0);
}

async function difference(): Promise<string> {
  const problems: string[] = [];
  let running = 0;
  for (const app of [quiet, busy]) {
    const formation = await app.api<Formation[]>("GET", "/formation");
    const wanted = formation.flatMap(({ type, quantity }) =>
      Array.from({ length: quantity }, (_, index) => `${type}.${index + 1} up`),
    );
    const dynos = await app.api<{ name: string; state: string }[]>("GET", "/dynos");
    const found = dynos.map(({ name, state }) => `${name} ${state}`);
    running += found.length;
    if (found.sort().join() !== wanted.sort().join())
      problems.push(`${app.name} has ${found.join(", ")} and not ${wanted.join(", ")}`);
    const releases = await app.api<{ status: string }[]>("GET", "/releases");
    if (releases.some(({ status }) => status === "pending")) problems.push("a release is pending");
  }
  const id = stator.instance;
  const runDir = `/run/stator/${id}`;
  const count = (what: string, found: number) => {
    if (found !== running) problems.push(`${found} ${what} for ${running} dynos`);
  };
  count(
    "monitors",
    findProcesses(`${runDir}/containers`).filter(({ argv }) => argv[0]?.endsWith("conmon")).length,
  );
  count("bundles", readdirSync(join(runDir, "containers")).length);
  count("folders", readdirSync(join(stator.dataDir, "box/dynos")).length);
  const links = await exec(["ip", "-oneline", "link"]);
  count("links", links.stdout.split("\n").filter((row) => row.includes(`st${id}-`)).length);
  const addresses = readdirSync("/run/stator/addresses").filter((name) =>
    tryRead(`/run/stator/addresses/${name}`).startsWith(`${id} `),
  );
  count("addresses", addresses.length);
  const hierarchy = ["memory", "", "unified"].find((name) =>
    existsSync(`/sys/fs/cgroup/${name}/stator-${id}`),
  );
  const groups = readdirSync(`/sys/fs/cgroup/${hierarchy}/stator-${id}`, { withFileTypes: true });
  const ours = ["monitors", "router"];
  count("cgroups", groups.filter((one) => one.isDirectory() && !ours.includes(one.name)).length);
  const cpu = existsSync("/sys/fs/cgroup/cpu") ? "cpu" : "";
  const ofMonitors = `/sys/fs/cgroup/${cpu}/stator-${id}/monitors`;
  const apart = readdirSync(ofMonitors, { withFileTypes: true }).filter((one) => one.isDirectory());
  count("monitors' cgroups", apart.length);
  const builds = readdirSync(join(stator.dataDir, "box/builds"));
  if (builds.length > 0) problems.push(`builds left: ${builds.join()}`);
  return problems.join("; ");
}
