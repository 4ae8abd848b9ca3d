import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { matchedRoutes } from "hono/route";
import { PlatformError } from "../lib/platform-error.ts";
import type { Account } from "../model/account.ts";
import { isAllowed, openToken, type Token } from "../model/token.ts";
import type { Platform } from "../platform.ts";
import type { Logins } from "./logins.ts";
import type { ApiEnvironment } from "./policy.ts";
import type { RequestBudgets } from "./request-budgets.ts";
import { requireVersion } from "./require-version.ts";
import { unknownRoute } from "./respond-to-error.ts";
import { factsOf, type Policy } from "./route-facts.ts";

/**
 * Lets in whom the route's policy lets in. Nobody without credentials learns which routes there are,
 * and a route without a policy is none.
 */
export function door(
  { database }: Platform,
  { budgets, logins }: { budgets: RequestBudgets; logins: Logins },
): MiddlewareHandler<ApiEnvironment> {
  return createMiddleware<ApiEnvironment>(async (c, next) => {
    c.set("database", database);
    const { policy } = factsOf(matchedRoutes(c));
    if (policy?.who === "anyone") return next();
    const { account, token } = await whoAsks(c, { policy, logins, database });
    c.header("RateLimit-Multiplier", "1");
    c.header("RateLimit-Remaining", String(budgets.take(account.id)));
    if (!policy) throw unknownRoute(c.req.method, c.req.path);
    if (!policy.anyVersion) requireVersion(c);
    c.header("Oauth-Scope", token.scope.join(" "));
    c.header("Oauth-Scope-Accepted", ["global", policy.scope].join(" "));
    if (policy.scope && !isAllowed(token, policy.scope))
      throw new PlatformError(
        "forbidden",
        `This token has the scope ${token.scope.join(", ")}, and ${c.req.method} ${c.req.path.slice(0, 200)} needs ${policy.scope}. Make one that has it: POST /oauth/authorizations`,
      );
    c.set("account", account);
    c.set("token", token);
    await next();
  });
}

async function whoAsks(
  c: Context,
  options: { policy: Policy | undefined; logins: Logins; database: Platform["database"] },
): Promise<{ account: Account; token: Token }> {
  const { user, secret } = presentedCredentials(c);
  if (secret === undefined)
    throw unauthorized(
      c,
      'There were no credentials in your `Authorization` header. Try `Authorization: Bearer <OAuth access token>` or `Authorization: Basic <base64-encoded email + ":" + password>`.',
    );
  const found = openToken(options.database, secret);
  if (found) return found;
  if (options.policy?.who === "password" && user !== "") {
    const code = c.req.header("Heroku-Two-Factor-Code");
    const account = await options.logins.enter(c, { email: user, password: secret, code });
    return { account, token: passwordToken(account) };
  }
  throw unauthorized(c, "Invalid credentials provided.");
}

/** A password opens what a token of the scope `global` opens, for this one request. */
function passwordToken(account: Account): Token {
  const now = new Date();
  return {
    ...{ id: "password", accountId: account.id, description: "password", sha256: "", hint: null },
    ...{ scope: ["global"], isSession: false, clientId: null, refreshSha256: null },
    ...{ grantSha256: null, grantExpiresAt: null, expiresAt: now, lastUsedAt: now },
    ...{ createdAt: now, updatedAt: now },
  };
}

/**
 * `Bearer SECRET`, `Basic` with the secret as password and any user, `Token token=SECRET`
 * (contract §9.1; Heroku's clients use all of them).
 */
function presentedCredentials(c: Context): { user: string; secret: string | undefined } {
  const header = c.req.header("Authorization") ?? "";
  const [, scheme = "", value = ""] =
    /^(bearer|basic|token) +(?:token=)?"?([^\s"]+)"?$/i.exec(header) ?? [];
  if (scheme.toLowerCase() !== "basic") return { user: "", secret: value || undefined };
  const [, user = "", secret] =
    /^([^:]*):(.+)$/s.exec(Buffer.from(value, "base64").toString("utf8")) ?? [];
  return { user, secret };
}

function unauthorized(c: Context, message: string): PlatformError {
  c.header("WWW-Authenticate", 'Basic realm="Stator"');
  return new PlatformError("unauthorized", message);
}
