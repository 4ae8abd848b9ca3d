import { checkCapacity, type Demand, promisedBytes } from "../dyno/capacity.ts";
import { sizeOf } from "../dyno/dyno-spec.ts";
import type { Supervisor } from "../dyno/supervisor.ts";
import { PlatformError } from "../lib/platform-error.ts";
import type { Account } from "../model/account.ts";
import { type App, listApps } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import type { DynoSizes } from "../model/dyno-size.ts";
import { type Formation, listFormation, releaseType, writeFormation } from "../model/formation.ts";
import { type ReleaseContext, tell } from "./release-context.ts";

export interface ScaleContext extends Pick<ReleaseContext, "logs"> {
  database: Database;
  supervisor: Supervisor;
  sizes: DynoSizes;
  /** What the machine has for dynos. */
  machineBytes: number;
}

/** A change of one process type: `3`, or `"+1"` and `"-1"` relative to what is. */
export interface FormationUpdate {
  type: string;
  quantity?: number | string | undefined;
  size?: string | undefined;
}

const mostDynosOfType = 1000;

/** Changes the formation as a whole or not at all; dynos follow in the background (contract §1.13). */
export function scale(
  context: ScaleContext,
  app: App,
  { updates, user }: { updates: FormationUpdate[]; user: Account },
): Formation[] {
  const { database, supervisor, sizes, machineBytes } = context;
  const before = listFormation(database, app);
  const after = scaledFormation(before, updates, { app, sizes });
  const wanted = demandsOf(after, sizes);
  if (promisedBytes(wanted) > promisedBytes(demandsOf(before, sizes)))
    checkCapacity(machineBytes, { wanted, promised: promisedToOthers(context, app) });
  writeFormation(database, app, after);
  const words = after
    .filter((row) => updates.some(({ type }) => type === row.type))
    .map(({ type, quantity, size }) => `${type}@${quantity}:${size}`);
  tell(context, app, `Scaled to ${words.join(" ")} by user ${user.email}`);
  void supervisor.converge(app);
  return after;
}

/** The rows after some changes; a wrong one is refused with all the others. Pure. */
export function scaledFormation(
  before: Formation[],
  updates: FormationUpdate[],
  { app, sizes }: { app: Pick<App, "name">; sizes: DynoSizes },
): Formation[] {
  const after = new Map(before.map((row) => [row.type, { ...row }]));
  for (const { type, quantity, size } of updates) {
    const row = after.get(type);
    if (!row)
      throw new PlatformError(
        "not_found",
        `Couldn't find that process type (${type.slice(0, 80)}). ${after.size === 0 ? `${app.name} has none yet: deploy it first.` : `${app.name} has ${[...after.keys()].join(", ")}.`}`,
      );
    if (quantity !== undefined) row.quantity = newQuantity(row, quantity);
    if (size !== undefined) {
      const found = sizes.find(size);
      if (!found)
        throw new PlatformError(
          "invalid_params",
          `No such size as ${JSON.stringify(size.slice(0, 80))}. There are: ${sizes.list.map(({ name }) => name).join(", ")}.`,
        );
      row.size = found.name;
    }
  }
  return [...after.values()];
}

function newQuantity({ type, quantity: before }: Formation, given: number | string): number {
  const [, sign = "", digits = ""] = /^([+-]?)(\d{1,6})$/.exec(String(given).trim()) ?? [];
  if (digits === "")
    throw new PlatformError(
      "invalid_params",
      `The quantity of ${type} is ${JSON.stringify(String(given).slice(0, 40))}, but must be a number, as 3, or a change, as +1 or -1.`,
    );
  const number = Number(`${sign}${digits}`);
  const quantity = sign === "" ? number : Math.max(0, before + number);
  if (type === releaseType && quantity > 0)
    throw new PlatformError(
      "invalid_params",
      "The release command is run at each release and cannot be scaled; its size can be set: stator ps:type release=SIZE.",
    );
  if (quantity > mostDynosOfType)
    throw new PlatformError(
      "invalid_params",
      `Cannot run ${type}=${quantity}: a process type may have ${mostDynosOfType} dynos.`,
    );
  return quantity;
}

function demandsOf(formation: Formation[], sizes: DynoSizes): Demand[] {
  return formation.map((row) => ({
    label: `${row.type}=${row.quantity}`,
    size: sizeOf(sizes, row),
    quantity: row.quantity,
  }));
}

function promisedToOthers({ database, sizes }: ScaleContext, app: App): number {
  return listApps(database)
    .filter((other) => other.id !== app.id)
    .reduce(
      (sum, other) => sum + promisedBytes(demandsOf(listFormation(database, other), sizes)),
      0,
    );
}
