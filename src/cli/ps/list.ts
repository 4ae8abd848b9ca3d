import type { DynoAnswer } from "../../api/client.ts";
import { appFlags, command, jsonFlag } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure } from "../failures.ts";
import { tableLines, timeAgo } from "../layout.ts";

export const list = command({
  summary: "list the dynos of an app",
  usage: "[TYPE…]",
  examples: ["stator ps", "stator ps web worker"],
  flags: {
    ...appFlags,
    extended: { type: "boolean", short: "x", summary: "with ids, releases and when they came" },
    "no-wrap": { type: "boolean", summary: "no line is broken (none ever is)" },
    ...jsonFlag,
  },
  async run(context) {
    const { api, args, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const { name } = await answerOf(api.apps[":app"].$get({ param }));
    const all = await answerOf(api.apps[":app"].dynos.$get({ param }));
    for (const type of args)
      if (!all.some((dyno) => dyno.type === type))
        throw new CommandFailure(`No ${type} dynos on ${paint.app(name)}`);
    const dynos = args.length === 0 ? all : all.filter((dyno) => args.includes(dyno.type));
    if (flags.json) return printJson(dynos);
    if (dynos.length === 0) return print(`No dynos on ${paint.app(name)}`);
    if (flags.extended) {
      for (const line of tableLines([extendedHead, ...dynos.map(extendedRow)])) print(line);
      return;
    }
    for (const group of groupsOf(dynos)) {
      print(paint.header(group.title));
      print();
      for (const dyno of group.dynos) print(dynoLine(dyno, paint.key));
      print();
    }
  },
});

const extendedHead = ["ID", "Process", "State", "Size", "Release", "Since", "Command"];

function extendedRow(dyno: DynoAnswer): string[] {
  const { id, name, state, size, release, updated_at: since, command: line } = dyno;
  return [id, name, state, size, `v${release.version}`, since, line];
}

/** One-off dynos together, the others by type and command (contract §1.13). */
function groupsOf(dynos: DynoAnswer[]): { title: string; dynos: DynoAnswer[] }[] {
  const groups = Map.groupBy(dynos, (dyno) =>
    isOneOff(dyno) ? "run: one-off processes" : `${dyno.type} (${dyno.size}): ${dyno.command}`,
  );
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([title, members]) => ({
      title: `${title} (${members.length})`,
      dynos: members.toSorted((a, b) => numberOf(a) - numberOf(b)),
    }));
}

function dynoLine(dyno: DynoAnswer, colour: (text: string) => string): string {
  const state = `${dyno.state === "up" ? colour(dyno.state) : dyno.state} ${timeAgo(dyno.updated_at)}`;
  return isOneOff(dyno)
    ? `${dyno.name} (${dyno.size}): ${state}: ${dyno.command}`
    : `${dyno.name}: ${state}`;
}

function isOneOff(dyno: DynoAnswer): boolean {
  return numberOf(dyno) >= firstOneOffNumber;
}

/** One-offs have four digits, whatever their type; a formation is never so large. */
const firstOneOffNumber = 1001;

function numberOf(dyno: DynoAnswer): number {
  return Number(dyno.name.split(".").at(-1));
}
