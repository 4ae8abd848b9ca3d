import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { PlatformError } from "../lib/platform-error.ts";

/**
 * `ETag` and `Last-Modified` on what is read, 304 for who has it already, 412 for who wants to change what is no longer
 * as he knows it (contract §9.1, clause 85). `read` asks this API for a thing as it is now.
 */
export function conditional(
  read: (request: Request, env: object) => Response | Promise<Response>,
): MiddlewareHandler {
  return createMiddleware(async (c, next) => {
    const isRead = c.req.method === "GET" || c.req.method === "HEAD";
    const expected = c.req.header("If-Match");
    if (!isRead && expected !== undefined) {
      const headers = new Headers(c.req.raw.headers);
      for (const name of ["If-Match", "Content-Type", "Content-Length"]) headers.delete(name);
      const now = await read(new Request(c.req.url, { headers }), c.env as object);
      checkMatch(expected, now.headers.get("ETag"));
    }
    await next();
    if (!isRead || !c.res.ok || !c.res.headers.get("Content-Type")?.includes("json")) return;
    const text = await c.res.text();
    const tag = `"${Bun.hash(text).toString(16).padStart(16, "0")}"`;
    if (expected !== undefined) checkMatch(expected, tag);
    const { status, headers } = c.res;
    const isKnown = includesTag(c.req.header("If-None-Match") ?? "", tag);
    c.res = undefined;
    c.res = new Response(isKnown ? null : text, { status: isKnown ? 304 : status, headers });
    c.res.headers.set("ETag", tag);
    const changed = lastModified(text);
    if (changed) c.res.headers.set("Last-Modified", changed);
  });
}

/** When the newest of what is answered was changed; it is to be read, the tag alone decides. */
function lastModified(text: string): string | undefined {
  let newest = "";
  for (const [, time = ""] of text.matchAll(/"updated_at":"([^"]+)"/g))
    if (time > newest) newest = time;
  return newest === "" ? undefined : new Date(newest).toUTCString();
}

function checkMatch(expected: string, tag: string | null): void {
  if (tag === null || !includesTag(expected, tag))
    throw new PlatformError(
      "precondition_failed",
      `It is not as you know it (If-Match: ${expected.slice(0, 100)}). Read it again, then change it.`,
    );
}

function includesTag(list: string, tag: string): boolean {
  return list
    .split(",")
    .map((one) => one.trim().replace(/^W\//, ""))
    .some((one) => one === tag || one === "*");
}
