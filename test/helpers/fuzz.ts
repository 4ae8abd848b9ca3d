import { z } from "zod";

/** Random, but the same for the same seed (a linear congruential generator, mixed). */
export function seededRandom(seed: number) {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x45d9f3b) >>> 0;
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  const below = (limit: number): number => next() % limit;
  return {
    below,
    chance: (part: number): boolean => next() / 2 ** 32 < part,
    pick: <T>(all: readonly T[]): T => all[below(all.length)] as T,
  };
}

export type Random = ReturnType<typeof seededRandom>;

const oddTexts = [
  ...[
    "",
    " ",
    "~",
    "..",
    "../../etc/passwd",
    "%00",
    "\0",
    "\n",
    "\u{1F98A}",
    "é日本",
    "'; DROP TABLE apps;--",
  ],
  ...["null", "undefined", "NaN", "-1", "0", "1e999", "9".repeat(40), "__proto__", "constructor"],
  ...[
    "$(id)",
    "`id`",
    "{{7*7}}",
    "<script>",
    "a".repeat(300),
    "x".repeat(20_000),
    "\uD800",
    "*",
    "?",
    "#",
  ],
];
const oddValues = [
  ...[null, true, false, 0, -1, 1.5, 2 ** 53, -(2 ** 31), 1e308],
  ...[[], {}, [[[[]]]], { a: { b: { c: null } } }, [null, null]],
];

export function oddText(random: Random): string {
  return random.pick(oddTexts);
}

type Json = Record<string, unknown>;

/** A value that a zod schema takes, or nearly so. */
export function valueOf(random: Random, schema: z.ZodType, known: readonly string[]): unknown {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Json;
  return make(random, json, known);
}

function make(random: Random, schema: Json, known: readonly string[]): unknown {
  const choices = (schema.anyOf ?? schema.oneOf) as Json[] | undefined;
  if (choices) return make(random, random.pick(choices), known);
  if (schema.enum) return random.pick(schema.enum as unknown[]);
  if ("const" in schema) return schema.const;
  switch (schema.type) {
    case "object":
      return makeObject(random, schema, known);
    case "array":
      return Array.from({ length: random.below(4) }, () =>
        make(random, (schema.items as Json) ?? {}, known),
      );
    case "integer":
    case "number":
      return random.below(Math.min(Number(schema.maximum ?? 100) + 1, 2 ** 31));
    case "boolean":
      return random.chance(0.5);
    case "null":
      return null;
    default:
      if (schema.format === "email") return `${random.below(1000)}@example.com`;
      return random.chance(0.7) ? random.pick(known) : oddText(random);
  }
}

function makeObject(random: Random, schema: Json, known: readonly string[]): Json {
  const required = (schema.required ?? []) as string[];
  const made: Json = {};
  for (const [key, inner] of Object.entries((schema.properties ?? {}) as Record<string, Json>))
    if (required.includes(key) || random.chance(0.5)) made[key] = make(random, inner, known);
  const others = schema.additionalProperties;
  if (typeof others === "object" && others !== null)
    for (let count = random.below(3); count > 0; count--)
      made[`KEY_${random.below(20)}`] = make(random, others as Json, known);
  return made;
}

/** The text of a value that was broken somewhere: in it, or in the JSON itself. */
export function brokenText(random: Random, value: unknown): string {
  const text = JSON.stringify(broken(random, structuredClone(value))) ?? "";
  if (random.chance(0.1)) return text.slice(0, random.below(text.length + 1));
  if (random.chance(0.02)) return `${"[".repeat(5000)}${"]".repeat(5000)}`;
  if (random.chance(0.02)) return `{"__proto__": {"polluted": true}, "constructor": 1}`;
  return text;
}

function broken(random: Random, value: unknown): unknown {
  if (random.chance(0.3) || typeof value !== "object" || value === null)
    return random.chance(0.5) ? random.pick(oddValues) : oddText(random);
  const keys = Object.keys(value);
  if (keys.length === 0) return { [oddText(random)]: random.pick(oddValues) };
  const key = random.pick(keys);
  const changed = value as Json;
  if (random.chance(0.3)) delete changed[key];
  else changed[key] = broken(random, changed[key]);
  return changed;
}
