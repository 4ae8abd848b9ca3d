import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { PlatformError } from "../lib/platform-error.ts";
import { type Account, firstAccount } from "../model/account.ts";
import { type App, lookUpApp, noSuchApp } from "../model/app.ts";
import { roleIn } from "../model/collaborator.ts";
import type { Database } from "../model/database.ts";
import type { Scope, Token } from "../model/token.ts";
import { type Policy, saying } from "./route-facts.ts";

/** What every route behind the door knows. */
export interface ApiEnvironment {
  Bindings: { server?: Bun.Server<unknown> };
  Variables: { account: Account; token: Token; database: Database };
}

interface AppEnvironment extends ApiEnvironment {
  Variables: ApiEnvironment["Variables"] & { app: App };
}

/**
 * Each route begins with one of these words. A route without one is shut: the door lets nobody in,
 * and a test fails.
 */

/** Everyone: what opens it is in its address or its body. */
export const anyone = () => passing({ who: "anyone", scope: null, anyVersion: true });

/** Who has a token, or email address and password (with the second factor where there is one). */
export const tokenOrPassword = (scope: Scope) =>
  passing({ who: "password", scope, anyVersion: false });

/** Who has a token of this scope. */
export const account = (scope: Scope, { anyVersion = false } = {}) =>
  passing({ who: "account", scope, anyVersion });

/** The account of `:user` itself, by id, email address or `~`. */
export const self = (scope: Scope): MiddlewareHandler<ApiEnvironment> =>
  saying(
    { policy: { who: "self", scope, anyVersion: false } },
    createMiddleware<ApiEnvironment>(async (c, next) => {
      const user = c.req.param("user") ?? "~";
      const { id, email } = c.var.account;
      if (user !== "~" && user !== id && user.toLowerCase() !== email.toLowerCase())
        throw new PlatformError("not_found", "Couldn't find that user.", { resource: "user" });
      await next();
    }),
  );

/** The one who runs the server, and no other account. */
export const operator = (scope: Scope): MiddlewareHandler<ApiEnvironment> =>
  saying(
    { policy: { who: "operator", scope, anyVersion: false } },
    createMiddleware<ApiEnvironment>(async (c, next) => {
      const first = firstAccount(c.var.database);
      if (first?.id !== c.var.account.id)
        throw new PlatformError(
          "forbidden",
          `Only the server's owner (${first?.email}) may do that.`,
        );
      await next();
    }),
  );

/** Owner and collaborators of `:app`; to everyone else there is no such app. */
export const member = (scope: Scope) => ofApp("member", scope);

/** The owner of `:app`. */
export const owner = (scope: Scope) => ofApp("owner", scope);

function passing(policy: Policy): MiddlewareHandler<ApiEnvironment> {
  return saying(
    { policy },
    createMiddleware<ApiEnvironment>((_c, next) => next()),
  );
}

function ofApp(who: "member" | "owner", scope: Scope): MiddlewareHandler<AppEnvironment> {
  return saying(
    { policy: { who, scope, anyVersion: false } },
    createMiddleware<AppEnvironment>(async (c, next) => {
      const name = c.req.param("app") ?? "";
      const app = lookUpApp(c.var.database, name);
      const role = app && roleIn(c.var.database, app, c.var.account);
      if (!app || !role) throw noSuchApp(name);
      if (who === "owner" && role !== "owner")
        throw new PlatformError(
          "forbidden",
          `Only the owner of ${app.name} may do that; you are a collaborator.`,
        );
      c.set("app", app);
      await next();
    }),
  );
}
