import { z } from "zod";
import type { ProcessTypes } from "../model/slug.ts";

/** What a buildpack's `bin/release` says (contract §5). */
export interface ReleaseOutput {
  processTypes: ProcessTypes;
  /** What the app gets at its first deploy: a service, or a plan of one. */
  addons: string[];
  /** What is not used of it, and why. */
  problems: string[];
}

const maxAddons = 20;
const typeName = z.string().regex(/^[A-Za-z0-9_-]{1,128}$/);
const commandText = z.string().min(1).max(10_000);
/** `heroku-postgresql`, `heroku-postgresql:essential-0`. */
const addonName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}(:[a-z0-9][a-z0-9._-]{0,62})?$/);

/** Reads it: nothing, `---`, `--- {}` or YAML, which is a stranger's. What is good of it is used. Pure. */
export function readReleaseOutput(yaml: string): ReleaseOutput {
  const problems: string[] = [];
  let said: unknown;
  try {
    said = Bun.YAML.parse(yaml) ?? {};
  } catch {
    said = undefined;
  }
  if (!isMapping(said)) {
    problems.push("it is no YAML of the form `default_process_types: …`");
    said = {};
  }
  const { default_process_types: types, addons } = said as Record<string, unknown>;
  return {
    processTypes: readTypes(types, problems),
    addons: readAddons(addons, problems),
    problems,
  };
}

function readTypes(types: unknown, problems: string[]): ProcessTypes {
  if (types === undefined || types === null) return {};
  if (!isMapping(types)) {
    problems.push("its default_process_types are no list of `type: command`");
    return {};
  }
  const entries = Object.entries(types);
  const good = entries.filter(
    ([type, command]) => typeName.safeParse(type).success && commandText.safeParse(command).success,
  );
  const bad = entries.length - good.length;
  if (bad > 0) problems.push(`${bad} of its default_process_types are no \`type: command\``);
  return Object.fromEntries(good) as ProcessTypes;
}

function readAddons(addons: unknown, problems: string[]): string[] {
  if (addons === undefined || addons === null) return [];
  if (!Array.isArray(addons)) {
    problems.push("its addons are no list of names");
    return [];
  }
  const names = addons.flatMap((addon) => addonName.safeParse(addon).data ?? []);
  if (names.length < addons.length)
    problems.push(`${addons.length - names.length} of its addons are no names of add-ons`);
  const different = [...new Set(names)];
  if (different.length > maxAddons) problems.push(`it asks for more than ${maxAddons} add-ons`);
  return different.slice(0, maxAddons);
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
