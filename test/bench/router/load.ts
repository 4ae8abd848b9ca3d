import { join } from "node:path";
import { percentile } from "../figures.ts";
import { output, pinned } from "./pinned.ts";

export const gigabyte = 1_000_000_000;
/** Of the two bodies that are asked for, in bytes. */
export const sizes = { small: 200, large: 20_000 };

/** What one run of a load generator saw. */
export interface Figures {
  /** Requests, messages or megabytes. */
  count: number;
  perSecond: number;
  p50Ms?: number;
  p99Ms?: number;
}

export interface Load {
  path: keyof typeof sizes;
  connections: number;
  seconds: number;
}

/** Plain HTTP/1.1 by wrk. Throws when a request fails. */
export async function wrk(port: number, load: Load): Promise<Figures> {
  const text = await output(
    pinned("load", [
      ...["wrk", "--threads", "1", "--latency", "--timeout", "20"],
      ...["--connections", String(load.connections), "--duration", `${load.seconds}`],
      `http://localhost:${port}/${load.path}`,
    ]),
  );
  const trouble = /Non-2xx.*|Socket errors: .*(connect|timeout) [1-9].*/.exec(text);
  if (trouble) throw new Error(`wrk on port ${port}: ${trouble[0]}`);
  const [, count, seconds] = /(\d+) requests in ([\d.]+m?s)/.exec(text) ?? [];
  if (count === undefined || count === "0") throw new Error(`wrk on port ${port}: ${text}`);
  return {
    count: Number(count),
    perSecond: (Number(count) * 1_000) / milliseconds(seconds),
    p50Ms: milliseconds(/^ +50%\s+(\S+)/m.exec(text)?.[1]),
    p99Ms: milliseconds(/^ +99%\s+(\S+)/m.exec(text)?.[1]),
  };
}

/** `1.23ms`, `450.00us` or `2.01s`. */
function milliseconds(text = ""): number {
  const unit = { us: 1e-3, ms: 1, s: 1_000, m: 60_000 }[/[a-z]+$/.exec(text)?.[0] ?? ""];
  if (unit === undefined) throw new Error(`${text} is no time`);
  return Number.parseFloat(text) * unit;
}

/** For so long h2load opens its connections, before it counts: a TLS handshake takes both sides a while. */
export const warmUpSeconds = (connections: number) => (connections > 100 ? 1.5 : 0.3);

/**
 * HTTP/1.1 or, with `streams` for each connection, HTTP/2 by h2load, over TLS; nothing when the server
 * does not speak it.
 */
export async function h2load(
  port: number,
  load: Load & { streams?: number; folder: string },
): Promise<Figures | undefined> {
  const protocol = load.streams === undefined ? "http/1.1" : "h2";
  // Asked first for one answer: it does not end when many of its clients have to fall back.
  const probe = ["h2load", "--requests=1", ...(load.streams === undefined ? ["--h1"] : [])];
  const said = await output(pinned("load", [...probe, `https://localhost:${port}/${load.path}`]));
  if (!said.includes(`Application protocol: ${protocol}\n`)) return undefined;
  const log = join(load.folder, "h2load.log");
  await Bun.write(log, "");
  const warmUp = warmUpSeconds(load.connections);
  // Now and then it does not end when it is done; all that it has seen is in its log.
  const patience = ["timeout", "--signal=KILL", String(warmUp + load.seconds + 5)];
  await output(
    pinned("load", [
      ...[...patience, "h2load", "--threads=1", `--clients=${load.connections}`],
      ...[`--duration=${load.seconds}`, `--warm-up-time=${warmUp * 1_000}ms`, `--log-file=${log}`],
      ...(load.streams === undefined ? ["--h1"] : [`--max-concurrent-streams=${load.streams}`]),
      `https://localhost:${port}/${load.path}`,
    ]),
    { mayBeKilled: true },
  );
  const waitsMs = await loggedWaitsMs(log);
  return {
    count: waitsMs.length,
    perSecond: waitsMs.length / load.seconds,
    p50Ms: percentile(waitsMs, 50),
    p99Ms: percentile(waitsMs, 99),
  };
}

/**
 * One client of an app, who asks `perSecond` times a second over one connection of plain HTTP/1.1;
 * what it waited for, in milliseconds. As if on another machine it waits for no processor of this
 * one. Throws when a request fails.
 */
export async function steadyClient(
  app: { host: string; port: string },
  { perSecond, seconds, folder }: { perSecond: number; seconds: number; folder: string },
): Promise<number[]> {
  const log = join(folder, "h2load.log");
  await Bun.write(log, "");
  await output(
    [
      ...["chrt", "--fifo", "1", "timeout", "--signal=KILL", String(seconds + 5)],
      ...["h2load", "--h1", "--threads=1", "--clients=1", `--rps=${perSecond}`],
      ...[`--duration=${seconds}`, `--warm-up-time=${warmUpSeconds(1) * 1_000}ms`],
      ...[`--log-file=${log}`, `--connect-to=127.0.0.1:${app.port}`, `http://${app.host}/`],
    ],
    { mayBeKilled: true },
  );
  return loggedWaitsMs(log);
}

/** From h2load's log: start, status, microseconds; no status for what was under way at the end. */
async function loggedWaitsMs(log: string): Promise<number[]> {
  const answers = (await Bun.file(log).text()).split("\n").map((line) => line.split("\t"));
  const whole = answers.filter(({ length, 1: status }) => length === 3 && status !== "0");
  const failed = whole.find(([, status]) => status !== "200");
  if (failed !== undefined || whole.length === 0)
    throw new Error(`h2load: ${failed?.join(" ") ?? "no answer"}`);
  return whole.map(([, , wait]) => Number(wait) / 1_000);
}

const handshakesAtOnce = 500;

/** TLS connections with a request each by h2load, which never resumes a session (wrk does). */
export async function handshakes(port: number): Promise<Figures> {
  const count = `${handshakesAtOnce}`;
  const text = await output(
    pinned("load", [
      ...[
        "timeout",
        "30",
        "h2load",
        "--h1",
        "--threads=1",
        "--requests",
        count,
        "--clients",
        count,
      ],
      `https://localhost:${port}/small`,
    ]),
  );
  const [, perSecond] = /finished in \S+, ([\d.]+) req\/s/.exec(text) ?? [];
  if (perSecond === undefined || !text.includes(` ${count} succeeded, 0 failed`))
    throw new Error(`h2load on port ${port}: ${text}`);
  return { count: handshakesAtOnce, perSecond: Number(perSecond) };
}

/** One gigabyte down, or up from a file; megabytes. */
export async function transfer(port: number, upload?: string): Promise<Figures> {
  const way = upload === undefined ? "download" : "upload";
  const text = await output(
    pinned("load", [
      ...["curl", "--silent", "--show-error", "--fail", "--output", "/dev/null"],
      ...["--write-out", `%{size_${way}} %{speed_${way}}`],
      ...(upload === undefined ? [] : ["--upload-file", upload, "--header", "Expect:"]),
      `http://localhost:${port}/${way}`,
    ]),
  );
  const [bytes = 0, speed = 0] = text.split(" ").map(Number);
  if (bytes !== gigabyte) throw new Error(`curl on port ${port}: ${bytes} bytes were moved`);
  return { count: bytes / 1e6, perSecond: speed / 1e6 };
}

export async function echoes(
  port: number,
  load: { connections: number; seconds: number },
): Promise<Figures> {
  const script = join(import.meta.dir, "echo-load.ts");
  const argv = [process.execPath, script, ...[port, load.connections, load.seconds].map(String)];
  return JSON.parse(await output(pinned("load", argv))) as Figures;
}
