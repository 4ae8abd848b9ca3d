import { validator } from "hono/validator";
import type { z } from "zod";
import { PlatformError } from "../lib/platform-error.ts";

/** Parses a JSON request body, or answers 422 with the first problem and where it is. */
export function body<Schema extends z.ZodType>(schema: Schema) {
  return validator("json", (value, c): z.output<Schema> => {
    // Without a type the body would be taken for an empty one, and a change for none.
    if (!c.req.header("Content-Type") && c.req.raw.body)
      throw new PlatformError("bad_request", "Send the body with Content-Type: application/json.");
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const [outer] = parsed.error.issues;
    // What is wrong with a key of a map is said one level deeper.
    const inner = outer?.code === "invalid_key" ? outer.issues[0] : undefined;
    const issue = outer && { path: outer.path, message: (inner ?? outer).message };
    const where = issue?.path.map(String).join(".") ?? "";
    throw new PlatformError(
      "invalid_params",
      `${where === "" ? "The request body" : where.slice(0, 200)}: ${issue?.message ?? "is not valid"}`,
    );
  });
}
