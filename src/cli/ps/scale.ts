import type { FormationAnswer } from "../../api/client.ts";
import { appFlags, command, type Context, jsonFlag } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { tableLines } from "../layout.ts";

const flags = { ...appFlags, ...jsonFlag };

/** `web=3`, `web+1`, `worker-2`, each with a size if wanted: `web=3:standard-2x`. */
const quantityChange = /^([\w-]+)([=+-]\d+)(?::([\w.-]+))?$/;
const sizeChange = /^([\w-]+)=([\w.-]+)$/;

export const scale = command({
  summary: "change how many dynos of a type there are, or show it",
  usage: "[TYPE=QUANTITY[:SIZE]…]",
  aliases: ["scale", "dyno:scale"],
  details:
    "TYPE+N and TYPE-N change the number. Dynos that stay are not restarted, unless their size changes.",
  examples: [
    "stator ps:scale",
    "stator ps:scale web=3 worker+1",
    "stator ps:scale web=2:standard-2x",
  ],
  flags,
  async run(context) {
    const { args, flags, print, printJson, action } = context;
    const app = await context.app();
    if (args.length === 0) {
      const formation = await formationOf(context, app);
      if (flags.json) return printJson(formation);
      return print(
        formation.map(({ type, quantity, size }) => `${type}=${quantity}:${size}`).join(" "),
      );
    }
    const updates = args.map((arg) => {
      const [, type, change, size] = quantityChange.exec(arg) ?? [];
      if (type === undefined || change === undefined)
        throw new UsageFailure(
          `${arg} is not a change of the formation. Write it as web=2, web+1, web-1 or web=2:standard-2x.`,
        );
      return { type, quantity: change.replace("=", ""), ...(size === undefined ? {} : { size }) };
    });
    const changed = await action(
      "Scaling dynos",
      () => change(context, app, updates),
      (rows) => {
        const words = rows
          .filter((row) => updates.some(({ type }) => type === row.type))
          .map(({ type, quantity, size }) => `${type} at ${quantity}:${size}`);
        return `now running ${words.join(", ")}`;
      },
    );
    if (flags.json) printJson(changed);
  },
});

export const type = command({
  summary: "change the size of dynos, or show it",
  usage: "[TYPE=SIZE…|SIZE]",
  aliases: ["ps:resize", "dyno:type", "dyno:resize", "resize"],
  details: "A size alone is for all types. Dynos whose size changes are restarted.",
  examples: ["stator ps:type", "stator ps:type web=standard-2x", "stator ps:type basic"],
  flags,
  async run(context) {
    const { args, flags, print, printJson, paint, action } = context;
    const app = await context.app();
    const before = await formationOf(context, app);
    const name = before[0]?.app.name ?? "";
    const updates = args.flatMap((arg) => {
      const [, type, size] = sizeChange.exec(arg) ?? [];
      if (type !== undefined && size !== undefined) return [{ type, size }];
      if (args.length === 1) return before.map((row) => ({ type: row.type, size: arg }));
      throw new UsageFailure(`${arg} is not a size for a type. Write it as web=standard-2x.`);
    });
    const formation =
      updates.length === 0
        ? before
        : await action(`Scaling dynos on ${paint.app(name)}`, () => change(context, app, updates));
    if (flags.json) return printJson(formation);
    print(paint.header("Process Types"));
    print();
    const rows = formation.map(({ type, size, quantity }) => [type, size, String(quantity)]);
    for (const line of tableLines([["Type", "Size", "Qty"], ...rows])) print(line);
    print();
    print(paint.header("Dyno Totals"));
    print();
    const totals = Map.groupBy(formation, ({ size }) => size);
    const sums = [...totals].map(([size, members]) => [
      size,
      String(members.reduce((sum, { quantity }) => sum + quantity, 0)),
    ]);
    for (const line of tableLines([["Type", "Total"], ...sums])) print(line);
  },
});

type Updates = { type: string; quantity?: string; size?: string }[];

function change(
  { api }: Context<typeof flags>,
  app: string,
  updates: Updates,
): Promise<FormationAnswer[]> {
  return answerOf(api.apps[":app"].formation.$patch({ param: { app }, json: { updates } }));
}

async function formationOf(
  { api, paint }: Context<typeof flags>,
  app: string,
): Promise<FormationAnswer[]> {
  const formation = await answerOf(api.apps[":app"].formation.$get({ param: { app } }));
  if (formation.length > 0) return formation;
  const { name } = await answerOf(api.apps[":app"].$get({ param: { app } }));
  throw new CommandFailure(
    `No process types on ${paint.app(name)}.\nDeploy an app with a Procfile to have some: git push stator main`,
  );
}
