import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tailOutput } from "../../src/dyno/output-tail.ts";
import { createLogs } from "../../src/logs/log-store.ts";
import { runMonitored, speaker } from "../helpers/monitored.ts";

type Row = [what: string, figure: string, goal: string];

/**
 * What logs cost a process that does nothing else: a dyno under a real conmon that says 20,000 lines a
 * second for 10 s, one that says as much as it can, 200 that are silent, and a search through 64 MB.
 */
export async function measureLogs(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "stator-bench-logs-"));
  try {
    return [
      // First: a heap that a flood has filled would be tidied up meanwhile.
      await measureSilence(join(folder, "silence")),
      ...(await measureFlood(join(folder, "steady"), { count: 200_000, perSecond: 20_000 })),
      ...(await measureFlood(join(folder, "flood"), { count: 2_000_000, perSecond: 10_000_000 })),
      await measureSearch(join(folder, "search")),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureFlood(
  folder: string,
  speech: { count: number; perSecond: number },
): Promise<Row[]> {
  const logs = createLogs({ dir: join(folder, "logs") });
  const before = megabytes();
  const begin = performance.now();
  const cpu = process.cpuUsage();
  const monitored = await runMonitored(join(folder, "dyno"), speaker(speech));
  const intake = logs.intake("app", { id: "dyno", dyno: "web.1" });
  const tail = tailOutput(monitored.output, intake);
  let [most, longestMs, last] = [0, 0, performance.now()];
  const watch = setInterval(() => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last - 5);
    last = now;
    most = Math.max(most, megabytes());
  }, 5);
  await monitored.ended();
  await tail.caughtUp();
  const tookMs = performance.now() - begin;
  const used = process.cpuUsage(cpu);
  clearInterval(watch);
  tail.close();
  const kept = await logs.read("app", { lines: speech.count * 2, source: "app" });
  const lost = await logs.read("app", { lines: 10, source: "heroku", grep: "Error L10" });
  await logs.close();
  const steady = speech.count / speech.perSecond > 1;
  const what = steady ? "a dyno that says 20,000 lines/s for 10 s" : "a dyno that says all it can";
  return [
    [
      what,
      `${Math.round(speech.count / tookMs)} lines/ms, ${kept.length} kept, ${lost.length} gaps told`,
      steady ? "200000 kept, 0 gaps" : "",
    ],
    [
      "  cost: processor, memory before / most, longest turn",
      `${(((used.user + used.system) / 1000 / tookMs) * 100).toFixed(1)} % of a core, ${before} / ${most} MB, ${longestMs.toFixed(0)} ms`,
      "memory flat",
    ],
  ];
}

async function measureSilence(folder: string): Promise<Row> {
  const logs = createLogs({ dir: join(folder, "logs") });
  const tails = Array.from({ length: 200 }, (_, number) => {
    const dyno = join(folder, `dyno-${number}`);
    mkdirSync(dyno, { recursive: true });
    appendFileSync(join(dyno, "output"), "2026-11-23T11:14:13.1+00:00 stdout F hello\n");
    return tailOutput(
      join(dyno, "output"),
      logs.intake(`app-${number}`, { id: dyno, dyno: "web.1" }),
    );
  });
  await Bun.sleep(2000);
  const cpu = process.cpuUsage();
  await Bun.sleep(10_000);
  const used = process.cpuUsage(cpu);
  for (const tail of tails) tail.close();
  await logs.close();
  const percent = ((used.user + used.system) / 1000 / 10_000) * 100;
  return ["200 silent dynos", `${percent.toFixed(2)} % of a core`, "under 1 %"];
}

async function measureSearch(folder: string): Promise<Row> {
  const logs = createLogs({ dir: folder });
  const line = { at: "2026-11-23T11:14:13.100000+00:00", source: "app", dyno: "web.1" } as const;
  const message = "as long as lines of a web server are: 127.0.0.1 GET /some/path 200";
  for (let number = 0; number < 600_000; number++)
    logs.write("app", { ...line, message: `${number} ${message}` });
  const times: number[] = [];
  for (const ignoreCase of [false, true]) {
    const begin = performance.now();
    await logs.read("app", { lines: 10, grep: "not in there", ignoreCase });
    times.push(performance.now() - begin);
  }
  await logs.close();
  const [exact = 0, ignoring = 0] = times;
  return [
    "a search through 64 MB that finds nothing",
    `${exact.toFixed(0)} ms, with -i ${ignoring.toFixed(0)} ms`,
    "",
  ];
}

function megabytes(): number {
  return Math.round(process.memoryUsage.rss() / 1024 / 1024);
}
