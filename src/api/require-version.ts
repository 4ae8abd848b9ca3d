import type { Context } from "hono";
import { PlatformError } from "../lib/platform-error.ts";

const accepted = /application\/vnd\.heroku\+json\s*;\s*version=3(?:\.([\w-]+))?\s*(?:,|;|$)/i;

/** Asks for `Accept: application/vnd.heroku+json; version=3` or one of its variants, `3.sdk` and the like (contract §9.1). */
export function requireVersion(c: Context): void {
  if (!accepted.test(c.req.header("Accept") ?? ""))
    throw new PlatformError(
      "not_acceptable",
      "The API speaks version 3 only. Send the header Accept: application/vnd.heroku+json; version=3",
    );
}

/** `sdk` for `version=3.sdk`; nothing for the plain version. */
export function variantOf(c: Context): string | undefined {
  return accepted.exec(c.req.header("Accept") ?? "")?.[1];
}
