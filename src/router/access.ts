import { createHash, timingSafeEqual } from "node:crypto";
import { isInRanges } from "./addresses.ts";
import { type HeaderLines, known } from "./header-lines.ts";
import type { RouteApp } from "./route-table.ts";

/** A user of an app's basic auth, as the table carries it: never the password itself. */
export interface BasicAuthUser {
  username: string;
  salt: string;
  /** SHA-256 of salt, `:` and password, in hexadecimal. */
  digest: string;
}

/** What the table needs for a name and a password. */
export function basicAuthUser(username: string, password: string): BasicAuthUser {
  const salt = crypto.randomUUID();
  return { username, salt, digest: digestOf(salt, password) };
}

function digestOf(salt: string, password: string): string {
  return createHash("sha256").update(`${salt}:${password}`).digest("hex");
}

/** What a request is let in by. */
export interface AccessRequest {
  clientAddress: string;
  https: boolean;
  method: string;
  host: string;
  target: string;
  headers: HeaderLines;
  /** Where the router listens for TLS; nothing when it does not. */
  httpsPort: number | null;
}

export type Access =
  | { kind: "granted" }
  | { kind: "forbidden address" }
  | { kind: "redirect"; status: 301 | 308; location: string }
  | { kind: "unauthorized"; challenge: string };

const granted: Access = { kind: "granted" };

/**
 * Whether an app's own rules let a request in: addresses first, then HTTPS, so that a password is
 * never asked for in the clear, then the password.
 */
export function decideAccess(app: RouteApp, request: AccessRequest): Access {
  if (app.allowedAddresses && !isInRanges(request.clientAddress, app.allowedAddresses))
    return { kind: "forbidden address" };
  if (app.httpsRedirect === true && !request.https && request.httpsPort !== null)
    return redirectToHttps(request, request.httpsPort);
  if (app.basicAuth && !isKnownUser(app.basicAuth, request.headers))
    return { kind: "unauthorized", challenge: `Basic realm="${app.name}", charset="UTF-8"` };
  return granted;
}

function redirectToHttps({ method, host, target }: AccessRequest, httpsPort: number): Access {
  const port = httpsPort === 443 ? "" : `:${httpsPort}`;
  return {
    kind: "redirect",
    // Other methods keep theirs, and their body.
    status: method === "GET" || method === "HEAD" ? 301 : 308,
    location: `https://${host}${port}${target.startsWith("/") ? target : "/"}`,
  };
}

function isKnownUser(users: readonly BasicAuthUser[], headers: HeaderLines): boolean {
  const given = headers.values(known.authorization);
  const [, encoded] = /^basic +([A-Za-z0-9+/=]+)$/i.exec(given[0] ?? "") ?? [];
  if (given.length !== 1 || encoded === undefined) return false;
  const [, username, password] =
    /^([^:]*):([^]*)$/.exec(Buffer.from(encoded, "base64").toString("utf8")) ?? [];
  if (username === undefined || password === undefined) return false;
  // Every user is compared, so that the time tells nothing about who there is.
  let isKnown = false;
  for (const user of users) {
    const right = isEqual(digestOf(user.salt, password), user.digest);
    if (isEqual(username, user.username) && right) isKnown = true;
  }
  return isKnown;
}

function isEqual(one: string, other: string): boolean {
  const [left, right] = [one, other].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(left!, right!);
}
