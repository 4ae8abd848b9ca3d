import type { Context } from "hono";

/** Words beside the answer, which Heroku's command line prints as a warning (compatibility with its `X-Heroku-Warning`). */
export function warn(c: Context, text: string): void {
  c.header("X-Heroku-Warning", text.replaceAll(/[^\x20-\x7E]/g, "?"));
}
