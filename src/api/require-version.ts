import { createMiddleware } from "hono/factory";
import { PlatformError } from "../lib/platform-error.ts";

/** Asks for `Accept: application/vnd.heroku+json; version=3` or one of its variants, `3.sdk` and the like (contract §9.1). */
export const requireVersion = createMiddleware(async (c, next) => {
  const accepted = /application\/vnd\.heroku\+json\s*;\s*version=3(\.[\w-]+)?\s*(,|;|$)/i;
  if (!accepted.test(c.req.header("Accept") ?? ""))
    throw new PlatformError(
      "not_acceptable",
      "The API speaks version 3 only. Send the header Accept: application/vnd.heroku+json; version=3",
    );
  await next();
});
