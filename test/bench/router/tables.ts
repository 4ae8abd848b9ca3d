import type { Contender } from "./contenders.ts";
import type { Figures } from "./load.ts";
import { median } from "../figures.ts";

/** One run of one router in one round. */
export interface Sample {
  what: string;
  round: number;
  name: string;
  /** Nothing when it can't do this. */
  figures: Figures | "failed" | undefined;
  /** Its processor time for each request, in microseconds. */
  routerUs: number;
  /** Which part of its processor it had, or used, meanwhile. */
  busy: number;
}

/**
 * A table in Markdown: what each did in a second, with its 50th and 99th percentile and its processor
 * time for one and the part of its processor that it used; then the first one's rate against each
 * other's, in brackets the same by processor time, which a busy machine disturbs less, and its 99th
 * percentile against the other's.
 */
export function resultTable(samples: Sample[]): string {
  const rows = [...new Set(samples.map(({ what }) => what))];
  const names = [...new Set(samples.map(({ name }) => name))];
  const peers = names.slice(1);
  const lines = rows.map((what) => {
    const of = (name: string) =>
      samples.filter((sample) => sample.what === what && sample.name === name);
    return [
      what,
      ...names.map((name) => cell(of(name))),
      ...peers.map((name) => ratio(of(names[0]!), of(name))),
    ];
  });
  return table(["", ...names, ...peers.map((name) => `to ${name}`)], lines);
}

function cell(samples: Sample[]): string {
  if (samples.length === 0) return "";
  if (samples.every(({ figures }) => figures === undefined)) return "not yet";
  if (samples.every(({ figures }) => figures === "failed")) return "failed";
  const of = (pick: (sample: Sample) => number | undefined) =>
    median(samples.map((sample) => pick(sample) ?? NaN));
  const figure = (key: "perSecond" | "p50Ms" | "p99Ms") => of((sample) => figureOf(sample, key));
  const rate = Math.round(figure("perSecond")).toLocaleString("en");
  const [p50, p99] = [figure("p50Ms"), figure("p99Ms")];
  const waits = Number.isNaN(p99) ? "" : ` ${p50.toFixed(1)}/${p99.toFixed(1)} ms`;
  const used = of(({ routerUs }) => routerUs);
  const busy = of((sample) => sample.busy) * 100;
  return `${rate}/s${waits} ${used.toFixed(used < 100 ? 1 : 0)} µs ${busy.toFixed(0)} %`;
}

function figureOf({ figures }: Sample, key: "perSecond" | "p50Ms" | "p99Ms"): number {
  return (typeof figures === "object" ? figures[key] : undefined) ?? NaN;
}

/** The first against another: medians of what the same rounds say. */
function compared(ours: Sample[], theirs: Sample[]) {
  const of = (pick: (sample: Sample) => number) =>
    median(
      ours.flatMap((one) =>
        theirs.filter(({ round }) => round === one.round).map((other) => pick(one) / pick(other)),
      ),
    );
  return {
    rate: of((sample) => figureOf(sample, "perSecond")),
    processor: 1 / of(({ routerUs }) => routerUs),
    p99: of((sample) => figureOf(sample, "p99Ms")),
  };
}

function ratio(ours: Sample[], theirs: Sample[]): string {
  const { rate, processor, p99 } = compared(ours, theirs);
  if (Number.isNaN(rate)) return "";
  const wait = Number.isNaN(p99) ? "" : `, p99 ${p99.toFixed(2)}×`;
  return `${rate.toFixed(2)}× (${processor.toFixed(2)}×)${wait}`;
}

/** What the router is meant to reach and does not, a line each. */
export function missedGoals(samples: Sample[]): string[] {
  const missed: string[] = [];
  for (const what of new Set(samples.map((sample) => sample.what))) {
    const against = (peer: string) => {
      const of = (name: string) =>
        samples.filter((sample) => sample.what === what && sample.name === name);
      return compared(of("Stator"), of(peer));
    };
    const [nginx, caddy] = [against("nginx"), against("Caddy")];
    if (what.startsWith("HTTP/1.1 plain") && nginx.rate < 1)
      missed.push(`${what}: nginx's rate (${nginx.rate.toFixed(2)}×)`);
    if (what.startsWith("HTTP/1.1 plain") && nginx.p99 > 1)
      missed.push(`${what}: nginx's p99 (${nginx.p99.toFixed(2)}×)`);
    if (caddy.rate < 2) missed.push(`${what}: twice Caddy's rate (${caddy.rate.toFixed(2)}×)`);
  }
  return missed;
}

/** What each holds after all that. */
export function memoryTable(contenders: Contender[]): string {
  const held = contenders.map((one) => `${one.name} ${one.megabytes().toFixed(0)} MB`);
  return `Memory at the end: ${held.join(", ")}`;
}

function table(head: string[], lines: string[][]): string {
  const all = [head, head.map(() => "---"), ...lines];
  return all.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
