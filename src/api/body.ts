import type { Context } from "hono";
import { validator } from "hono/validator";
import { z } from "zod";
import { PlatformError } from "../lib/platform-error.ts";
import { saying } from "./route-facts.ts";

/** Parses a JSON request body, or answers 422 with the first problem and where it is. */
export function body<Schema extends z.ZodType>(schema: Schema) {
  const parse = validator("json", (value, c): z.output<Schema> => {
    // Without a type the body would be taken for an empty one, and a change for none.
    if (c.req.raw.body && !/[/+]json\b/i.test(c.req.header("Content-Type") ?? ""))
      throw new PlatformError("bad_request", "Send the body with Content-Type: application/json.");
    return readBy(schema, value, "The request body");
  });
  return saying({ body: schema }, parse);
}

/** The same for what stands behind the `?` of an address. A name that is there twice has an array. */
export function query<Schema extends z.ZodObject>(schema: Schema) {
  const parse = validator("query", (value): z.output<Schema> =>
    readBy(schema, value, "The query of the address"),
  );
  return saying({ query: schema }, parse);
}

/** The same for the fields of a page's form; a field that is no text, or too long, is told as empty. */
export async function form<Name extends string>(
  c: Context,
  ...names: Name[]
): Promise<Record<Name, string>> {
  const field = z.string().max(1000).catch("");
  const schema = z.object(Object.fromEntries(names.map((name) => [name, field])));
  const fields = await c.req.parseBody().catch(() => ({}));
  return schema.parse(fields) as Record<Name, string>;
}

function readBy<Schema extends z.ZodType>(schema: Schema, value: unknown, whole: string) {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = deepest(parsed.error.issues[0]);
  const where = issue.path.map(String).join(".");
  throw new PlatformError(
    "invalid_params",
    `${where === "" ? whole : where.slice(0, 200)}: ${issue.message}`,
  );
}

/** On or off, which Python's heroku3 sends as 1 and 0. */
export const onOrOff = z
  .union([z.boolean(), z.literal([0, 1])], "must be true or false")
  .transform(Boolean);

/** A number of seconds, which Heroku's command line sends as a text at times. */
export function secondsUpTo(most: number) {
  return z
    .union(
      [
        z.int(),
        z
          .string()
          .regex(/^\d{1,12}$/)
          .transform(Number),
      ],
      "must be a number of seconds",
    )
    .pipe(z.int().min(1, "must be at least 1").max(most, `must be at most ${most}`));
}

interface Issue {
  path: PropertyKey[];
  message: string;
}

/** What is wrong with a key of a map is said one level deeper. */
function deepest(issue: z.core.$ZodIssue | undefined): Issue {
  if (issue === undefined) return { path: [], message: "is not valid" };
  const inner = issue.code === "invalid_key" ? issue.issues[0] : undefined;
  return { path: issue.path, message: (inner ?? issue).message };
}
