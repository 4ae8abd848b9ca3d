import type { ErrorHandler, NotFoundHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { type ErrorId, PlatformError } from "../lib/platform-error.ts";

const statusOf = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  not_acceptable: 406,
  conflict: 409,
  gone: 410,
  invalid_params: 422,
  unavailable: 503,
} as const satisfies Record<ErrorId, number>;

export const respondToError: ErrorHandler = (error, c) => {
  if (error instanceof PlatformError)
    return c.json({ id: error.id, message: error.message }, statusOf[error.id]);
  if (error instanceof HTTPException)
    return c.json({ id: "bad_request", message: error.message }, error.status);
  console.error(`${c.req.method} ${new URL(c.req.url).pathname}`, error);
  return c.json(
    {
      id: "internal_server_error",
      message: `Internal server error. Request ${c.res.headers.get("Request-Id")} is in the server's output.`,
    },
    500,
  );
};

export const respondToUnknownRoute: NotFoundHandler = (c) =>
  c.json(
    {
      id: "not_found",
      message: `The API has no ${c.req.method} ${c.req.path.slice(0, 200)}.`,
    },
    404,
  );
