import type { ErrorHandler, NotFoundHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { matchedRoutes } from "hono/route";
import { type ErrorId, PlatformError } from "../lib/platform-error.ts";

const statusOf = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  two_factor: 403,
  not_found: 404,
  not_acceptable: 406,
  conflict: 409,
  gone: 410,
  precondition_failed: 412,
  requested_range_not_satisfiable: 416,
  invalid_params: 422,
  rate_limit: 429,
  not_implemented: 501,
  unavailable: 503,
} as const satisfies Record<ErrorId, number>;

/** What is refused because of how it was asked: the document tells how to ask. */
const documented = new Set<ErrorId>([
  ...(["bad_request", "not_acceptable", "not_implemented"] as const),
  "requested_range_not_satisfiable",
]);

/** Everything that goes wrong, in Heroku's form `{id, message, url?, resource?}`. */
export function respondToError(apiUrl: string): ErrorHandler {
  return (error, c) => {
    if (error instanceof PlatformError) {
      const { id, message, resource } = error;
      const url = documented.has(id) ? `${apiUrl}/openapi.json` : undefined;
      return c.json(
        { id, message, ...(url && { url }), ...(resource && { resource }) },
        statusOf[id],
      );
    }
    if (error instanceof HTTPException)
      return c.json({ id: "bad_request", message: error.message }, error.status);
    // The route, not the path: there are secrets in some.
    const requestId = c.res.headers.get("Request-Id");
    console.error(`${requestId} ${c.req.method} ${matchedRoutes(c).at(-1)?.path}`, error);
    return c.json(
      {
        id: "internal_server_error",
        message: `Internal server error. Request ${requestId} is in the server's output.`,
      },
      500,
    );
  };
}

/** What there is stands in `/openapi.json`. */
export function unknownRoute(method: string, path: string): PlatformError {
  return new PlatformError("not_found", `The API has no ${method} ${path.slice(0, 200)}.`);
}

export const respondToUnknownRoute: NotFoundHandler = (c) => {
  throw unknownRoute(c.req.method, c.req.path);
};
