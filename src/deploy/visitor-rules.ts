import { PlatformError } from "../lib/platform-error.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import {
  type Hsts,
  readVisitorRules,
  type RequestLimit,
  type VisitorRules,
  writeVisitorRules,
} from "../model/visitor-rules.ts";
import { basicAuthUser } from "../router/access.ts";
import { readRange } from "../router/addresses.ts";
import type { RouteAppRecord } from "../router/route-table.ts";
import { type ReleaseContext, tell } from "./release-context.ts";

/** What is to be otherwise; what is left out stays. */
export interface VisitorRulesChange {
  /** By user name; `null` takes one away. */
  passwords?: Record<string, string | null> | undefined;
  allowedAddresses?: string[] | null | undefined;
  httpsRedirect?: boolean | undefined;
  hsts?: Hsts | null | undefined;
  appLimit?: RequestLimit | null | undefined;
  clientLimit?: RequestLimit | null | undefined;
}

export interface VisitorContext extends Pick<ReleaseContext, "database" | "logs"> {
  /** Whether the router listens for HTTPS. */
  hasHttps: boolean;
  routesChanged: () => Promise<void>;
}

/** Every request hashes each password: what is a list here would be a burden there. */
const mostPasswords = 50;
const mostAddresses = 1000;

/** Changes the rules as a whole or not at all; they hold when it resolves. No release, no restart. */
export async function changeVisitorRules(
  context: VisitorContext,
  app: App,
  { change, user }: { change: VisitorRulesChange; user: Account },
): Promise<VisitorRules> {
  const { database, hasHttps, routesChanged } = context;
  const before = readVisitorRules(database, app);
  const after = changedVisitorRules(before, change);
  if (!hasHttps && (change.httpsRedirect === true || change.hsts))
    throw new PlatformError(
      "invalid_params",
      "This server has no port for HTTPS, so nobody can be sent there: its operator can give it one (stator server --https 443).",
    );
  writeVisitorRules(database, app, after);
  const changed = Object.keys(change).filter(
    (key) => change[key as keyof VisitorRulesChange] !== undefined,
  );
  tell(context, app, `Set visitor rules (${changed.join(", ")}) by user ${user.email}`);
  await routesChanged();
  return after;
}

/** The rules after a change; a wrong one is refused with all of it. */
function changedVisitorRules(before: VisitorRules, change: VisitorRulesChange): VisitorRules {
  const { passwords, ...others } = change;
  const given = Object.entries(others).filter(([, value]) => value !== undefined);
  const after: VisitorRules = { ...before, ...Object.fromEntries(given) };
  after.passwords = changedPasswords(before.passwords, passwords ?? {});
  after.allowedAddresses = checkedAddresses(after.allowedAddresses);
  return after;
}

function changedPasswords(
  before: VisitorRules["passwords"],
  change: Record<string, string | null>,
): VisitorRules["passwords"] {
  const after = new Map(before.map((one) => [one.username, one]));
  for (const [username, password] of Object.entries(change)) {
    if (password === null) after.delete(username);
    else {
      // The colon ends the name in what browsers send (RFC 7617), which has no control characters.
      if (!/^[^:\p{Cc}]{1,200}$/u.test(username) || !/^[^\p{Cc}]{1,1000}$/u.test(password))
        throw new PlatformError(
          "invalid_params",
          `The password of ${JSON.stringify(username.slice(0, 200))} cannot be set: a user name has no colon, and neither it nor a password is empty, very long, or has control characters.`,
        );
      after.set(username, basicAuthUser(username, password));
    }
  }
  if (after.size > mostPasswords)
    throw new PlatformError(
      "invalid_params",
      `An app may have ${mostPasswords} passwords for visitors, these would be ${after.size}.`,
    );
  return [...after.values()];
}

function checkedAddresses(addresses: string[] | null): string[] | null {
  if (addresses === null) return null;
  const wrong = addresses.find((text) => readRange(text) === undefined);
  if (wrong !== undefined)
    throw new PlatformError(
      "invalid_params",
      `${JSON.stringify(wrong.slice(0, 80))} is no address and no range of them. Write it as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32.`,
    );
  if (addresses.length > mostAddresses)
    throw new PlatformError(
      "invalid_params",
      `An app may allow ${mostAddresses} addresses and ranges, these are ${addresses.length}.`,
    );
  return [...new Set(addresses)];
}

/** The rules as the router reads them. */
export function routedVisitorRules(rules: VisitorRules): Partial<RouteAppRecord> {
  const { passwords, allowedAddresses, httpsRedirect, hsts, appLimit, clientLimit } = rules;
  return {
    ...(passwords.length > 0 ? { basicAuth: passwords } : {}),
    ...(allowedAddresses === null ? {} : { allowedAddresses }),
    ...(httpsRedirect ? { httpsRedirect } : {}),
    ...(hsts === null ? {} : { hsts }),
    ...(appLimit === null && clientLimit === null
      ? {}
      : {
          rateLimits: {
            ...(appLimit === null ? {} : { app: routedLimit(appLimit) }),
            ...(clientLimit === null ? {} : { client: routedLimit(clientLimit) }),
          },
        }),
  };
}

function routedLimit({ requests, seconds, burst }: RequestLimit) {
  return { requests, perMs: seconds * 1000, burst };
}
