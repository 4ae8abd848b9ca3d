import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { PlatformError } from "../lib/platform-error.ts";
import type { Account } from "../model/account.ts";
import { accountOfToken } from "../model/token.ts";
import type { Platform } from "../platform.ts";

/** What every route below the door knows. */
export interface ApiEnvironment {
  Bindings: { server?: Bun.Server<unknown> };
  Variables: { account: Account };
}

/** Lets nobody pass without a token: `Bearer TOKEN`, or Basic with the token as password (contract §9.1). */
export function authenticate({ database }: Platform): MiddlewareHandler<ApiEnvironment> {
  return createMiddleware<ApiEnvironment>(async (c, next) => {
    const token = presentedToken(c);
    if (token === undefined)
      throw unauthorized(
        c,
        'There were no credentials in your `Authorization` header. Try `Authorization: Bearer <OAuth access token>` or `Authorization: Basic <base64-encoded email + ":" + password>`.',
      );
    const account = accountOfToken(database, token);
    if (!account) throw unauthorized(c, "Invalid credentials provided.");
    c.set("account", account);
    await next();
  });
}

function presentedToken(c: Context): string | undefined {
  const [, scheme = "", value = ""] =
    /^(bearer|basic) +(\S+)$/i.exec(c.req.header("Authorization") ?? "") ?? [];
  if (scheme.toLowerCase() === "bearer") return value;
  if (scheme === "") return undefined;
  const [, password] = /^[^:]*:(.+)$/s.exec(Buffer.from(value, "base64").toString("utf8")) ?? [];
  return password;
}

function unauthorized(c: Context, message: string): PlatformError {
  c.header("WWW-Authenticate", 'Basic realm="Stator"');
  return new PlatformError("unauthorized", message);
}
