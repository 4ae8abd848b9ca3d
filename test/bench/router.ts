/**
 * `npm run bench:router`: Stator's router against nginx, HAProxy and Caddy, on this machine, in this
 * run, with the same upstream. Everything runs in rounds, one router after the other, so that a busy
 * moment of the machine meets them all; figures are medians of the rounds, and so are the ratios.
 *
 *   --rounds N    how many (3)
 *   --seconds N   how long each router is asked for each row and round (1)
 *   --only WORDS  rows with all these words only, like `plain 64`
 *   --long        five million requests to Stator alone: does its memory stay flat?
 */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  peerNames,
  startPeer,
  startStator,
  startUpstream,
  type Contender,
  type Setting,
} from "./router/contenders.ts";
import {
  echoes,
  gigabyte,
  h2load,
  handshakes,
  transfer,
  warmUpSeconds,
  wrk,
  type Figures,
} from "./router/load.ts";
import { installTools } from "./router/install.ts";
import { output, processors } from "./router/pinned.ts";
import { memoryTable, missedGoals, resultTable, type Sample } from "./router/tables.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    long: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const beganAtMs = performance.now();

const folder = mkdtempSync(join(tmpdir(), "stator-bench-router-"));
const running: { stop(): Promise<void> }[] = [];
let ending: Promise<void> | undefined;
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => void (ending ??= cleanUp().finally(() => process.exit(1))));
try {
  await installTools();
  const setting = await prepare();
  say(
    `${cpus()[0]?.model}, ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GB;`,
  );
  say(
    `load and upstream on processor ${processors.load}, each router on processor ${processors.router}\n`,
  );
  if (values.long) await askMillions(setting);
  else await compare(setting);
  say(`\nThe run took ${Math.round((performance.now() - beganAtMs) / 1_000)} s.`);
} finally {
  await cleanUp();
}

async function cleanUp(): Promise<void> {
  await Promise.all(running.splice(0).map((one) => one.stop()));
  rmSync(folder, { recursive: true, force: true });
}

async function prepare(): Promise<Setting> {
  const [certificatePath, privateKeyPath] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await output([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    ...["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext"],
    ...["subjectAltName=DNS:localhost", "-keyout", privateKeyPath, "-out", certificatePath],
  ]);
  const upstream = await started(startUpstream(folder));
  return { folder, upstream: upstream.port, certificatePath, privateKeyPath, log: false };
}

async function started<T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const one = await starting;
  running.push(one);
  return one;
}

interface Row {
  what: string;
  run: (contender: Contender) => Promise<Figures | undefined>;
  /** The first part of a run, which is not counted. */
  warmUpSeconds?: number;
  /** Whom it is asked of; all, without their logs, usually. */
  of?: "logging" | "one and two workers";
}

function listRows(): Row[] {
  const uploadPath = join(folder, "gigabyte");
  writeFileSync(uploadPath, "");
  truncateSync(uploadPath, gigabyte);
  const both = [
    ["200 B", "small"],
    ["20 KB", "large"],
  ] as const;
  const counts = [64, 1_000];
  const http1 = (tls: boolean) =>
    both.flatMap(([size, path]) =>
      counts.map((connections) => ({
        what: `HTTP/1.1 ${tls ? "TLS" : "plain"}, ${size}, ${connections} connections`,
        run: (to: Contender) =>
          tls
            ? h2load(to.https, { path, connections, seconds, folder })
            : wrk(to.http, { path, connections, seconds }),
        ...(tls ? { warmUpSeconds: warmUpSeconds(connections) } : {}),
      })),
    );
  const http2 = both.flatMap(([size, path]) =>
    counts.map((connections) => {
      const streams = connections > 100 ? 1 : 8;
      return {
        what: `HTTP/2 TLS, ${size}, ${connections} connections × ${streams}`,
        run: (to: Contender) => h2load(to.https, { path, connections, seconds, streams, folder }),
        warmUpSeconds: warmUpSeconds(connections),
      };
    }),
  );
  const small = { path: "small", connections: 64, seconds } as const;
  return [
    ...http1(false),
    ...http1(true),
    ...http2,
    {
      what: "HTTP/1.1 plain, 200 B, 64 connections, access log on",
      run: (to) => wrk(to.http, small),
      of: "logging",
    },
    {
      what: "New TLS 1.3 connections, a request each",
      run: (to) => handshakes(to.https),
    },
    { what: "1 GB down, MB", run: (to) => transfer(to.http) },
    { what: "1 GB up, MB", run: (to) => transfer(to.http, uploadPath) },
    {
      what: "WebSocket echo, 64 connections",
      run: (to) => echoes(to.http, { connections: 64, seconds }),
    },
    {
      what: `Plain HTTP/1.1, 200 B, 64 connections, workers on processor ${processors["two workers"]}`,
      run: (to) => wrk(to.http, small),
      of: "one and two workers",
    },
  ];
}

/** All rows of all rounds; then the tables. */
async function compare(setting: Setting): Promise<void> {
  const words = values.only.split(" ").filter(Boolean);
  const rows = listRows().filter(({ what }) =>
    words.every((word) => what.split(/[ ,]+/).includes(word)),
  );
  const everyone = async (own: Setting) => [
    await started(startStator(own)),
    ...(await Promise.all(peerNames.map((name) => started(startPeer(name, own))))),
  ];
  const usual = await everyone(setting);
  const groups = {
    usual,
    logging: rows.some(({ of }) => of === "logging")
      ? await everyone({ ...setting, log: true })
      : [],
    "one and two workers": rows.some(({ of }) => of === "one and two workers")
      ? [
          { ...(await started(startStator({ ...setting, workers: 2 }))), name: "two workers" },
          { ...usual[0]!, name: "one worker" },
        ]
      : [],
  };
  const samples: Sample[] = [];
  // The first answers of each are those of a program that is not warm yet.
  for (const contender of new Set(Object.values(groups).flat()))
    await wrk(contender.http, { path: "small", connections: 64, seconds: 2 });
  for (let round = 0; round < rounds; round++)
    for (const row of rows)
      for (const contender of groups[row.of ?? "usual"])
        samples.push({ what: row.what, round, ...(await measure(contender, row)) });
  const ofWorkers = (one: Sample) => / workers?$/.test(one.name);
  for (const part of [samples.filter((one) => !ofWorkers(one)), samples.filter(ofWorkers)])
    if (part.length > 0) say(`${resultTable(part)}\n`);
  say(memoryTable(usual));
  for (const goal of missedGoals(samples)) say(`Not reached: ${goal}`);
}

/** One run, with the processor time that the router took for it. */
async function measure(contender: Contender, row: Row): Promise<Omit<Sample, "what" | "round">> {
  const now = () => ({ atMs: performance.now(), usedMs: contender.ticks() * 10 });
  let before = now();
  const warm = setTimeout(() => (before = now()), (row.warmUpSeconds ?? 0) * 1_000);
  const figures = await row.run(contender).catch((error) => {
    process.stderr.write(`${row.what}, ${contender.name}: ${String(error)}\n`);
    return "failed" as const;
  });
  clearTimeout(warm);
  const after = now();
  const usedMs = after.usedMs - before.usedMs;
  return {
    name: contender.name,
    figures,
    routerUs: (usedMs * 1_000) / (typeof figures === "object" ? figures.count : NaN),
    busy: usedMs / (after.atMs - before.atMs),
  };
}

async function askMillions(setting: Setting): Promise<void> {
  const stator = await started(startStator(setting));
  let count = 0;
  for (let million = 0; million <= 5;) {
    if (count >= million * 1e6) {
      say(`${million} million requests: ${stator.megabytes().toFixed(0)} MB`);
      million++;
    }
    const load = { path: "small", connections: 64, seconds: 2 } as const;
    count += (await wrk(stator.http, load)).count;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
