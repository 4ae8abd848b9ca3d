import type { Scope } from "../model/token.ts";
import type { z } from "zod";

/** Who may use a route. */
export interface Policy {
  who: "anyone" | "password" | "account" | "operator" | "self" | "member" | "owner";
  /** What a token must allow. */
  scope: Scope | null;
  /** Asked for without `Accept: …; version=3` as well. */
  anyVersion: boolean;
}

/** What the handlers of a route say of it; the door, the document and the tests go by it. */
export interface RouteFacts {
  policy?: Policy;
  body?: z.ZodType;
  query?: z.ZodObject;
  answer?: z.ZodType;
}

const said = new WeakMap<object, RouteFacts>();

/** Lets a handler say something of each route that it is put into. */
export function saying<Handler extends object>(facts: RouteFacts, handler: Handler): Handler {
  said.set(handler, facts);
  return handler;
}

/** Everything that the handlers of one route say. */
export function factsOf(handlers: Iterable<{ handler: object }>): RouteFacts {
  return Object.assign({}, ...[...handlers].map(({ handler }) => said.get(handler)));
}

export interface Route extends RouteFacts {
  method: string;
  /** `/apps/:app/dynos` */
  path: string;
}

/** One handler of a route, as Hono lists it. */
export interface RegisteredHandler {
  method: string;
  path: string;
  handler: object;
}

/** What stands for itself in a route's path: `app` in `/apps/:app`, and `rest` where all is taken. */
export function parametersOf(path: string): string[] {
  return [...path.replace("*", ":rest").matchAll(/:(\w+)/g)].map(([, name = ""]) => name);
}

/** Each route of an API once, with all that is said of it. */
export function listRoutes(registered: RegisteredHandler[]): Route[] {
  const byName = Map.groupBy(
    registered.filter(({ method }) => method !== "ALL"),
    ({ method, path }) => `${method} ${path}`,
  );
  return [...byName.values()].map((handlers) => {
    const [first] = handlers;
    return { method: first?.method ?? "", path: first?.path ?? "", ...factsOf(handlers) };
  });
}
