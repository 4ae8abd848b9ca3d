import type { Context } from "hono";
import { PlatformError } from "../lib/platform-error.ts";

type Key = string | number;

/** The part of a list that is asked for. */
export interface Range {
  field: string;
  /** `]5..` begins after 5, `5..` with it. */
  after: string | undefined;
  from: string | undefined;
  to: string | undefined;
  max: number;
  descending: boolean;
}

const defaultMax = 200;
const largestMax = 1000;

/**
 * The part of a list that the `Range` header asks for, as in `version ]5..; order=desc,max=15`;
 * sets `Content-Range`, and `Next-Range` and 206 while there is more (contract §9.1). The first of
 * `keys` is the order of a request without a range.
 */
export function pageOf<Item>(
  c: Context,
  items: Item[],
  keys: Record<string, (item: Item) => Key>,
): Item[] {
  const fields = Object.keys(keys);
  const range = readRange(c, fields);
  const keyOf = keys[range.field] as (item: Item) => Key;
  const direction = range.descending ? -1 : 1;
  const past = (item: Item, bound: string) => direction * compare(keyOf(item), bound);
  const wanted = items
    .toSorted((a, b) => direction * compare(keyOf(a), keyOf(b)))
    .filter((item) => range.after === undefined || past(item, range.after) > 0)
    .filter((item) => range.from === undefined || past(item, range.from) >= 0)
    .filter((item) => range.to === undefined || past(item, range.to) <= 0);
  return sendPage(c, wanted, { range, keyOf });
}

/** The range that a request asks for; the first field is the order of one that says nothing. */
export function readRange(c: Context, fields: string[]): Range {
  c.header("Accept-Ranges", fields.join(", "));
  return parseRange(c.req.header("Range") ?? "", fields);
}

/** The first `max` of what was found, which may be more; the headers say what it is and where it goes on. */
export function sendPage<Item>(
  c: Context,
  found: Item[],
  { range, keyOf }: { range: Range; keyOf: (item: Item) => Key },
): Item[] {
  const page = found.slice(0, range.max);
  const [first, last] = [page[0], page.at(-1)];
  if (first === undefined || last === undefined) return page;
  const options = `max=${range.max}${range.descending ? ", order=desc" : ""}`;
  c.header("Content-Range", `${range.field} ${keyOf(first)}..${keyOf(last)}; ${options}`);
  if (found.length > page.length) {
    c.header("Next-Range", `${range.field} ]${keyOf(last)}..${range.to ?? ""}; ${options}`);
    c.status(206);
  }
  return page;
}

function compare(a: Key, b: Key): number {
  if (typeof a === "number") return a - Number(b);
  return a < String(b) ? -1 : a === b ? 0 : 1;
}

const form = /^\s*([a-z_]+)?\s*(?:(\]|\[)?([^\s;]*?)\.\.([^\s;[\]]*)[[\]]?)?\s*(?:;(.*))?$/;

function parseRange(header: string, fields: string[]): Range {
  const first = fields[0] as string;
  const [, field = first, bracket, start, end, options = ""] =
    header.trim() === "" ? [] : (form.exec(header) ?? invalid(header, fields));
  if (!fields.includes(field)) invalid(header, fields);
  const max = /\bmax=(\d+)/.exec(options)?.[1];
  return {
    field,
    after: bracket === "]" && start ? start : undefined,
    from: bracket !== "]" && start ? start : undefined,
    to: end || undefined,
    max: Math.min(Math.max(1, Number(max ?? defaultMax)), largestMax),
    descending: /\border=desc\b/.test(options),
  };
}

function invalid(header: string, fields: string[]): never {
  throw new PlatformError(
    "requested_range_not_satisfiable",
    `Range: ${JSON.stringify(header.slice(0, 100))} cannot be used; write it as in Range: ${fields[0]} ..; max=10, order=desc (this list goes by ${fields.join(", ")}).`,
  );
}
