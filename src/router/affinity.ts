import { createHash } from "node:crypto";
import { type HeaderLines, known } from "./header-lines.ts";
import type { RouteDyno } from "./route-table.ts";

const cookieName = "heroku-session-affinity";
const maxAgeSeconds = 86_400;

/** What the cookie says of a dyno: the same in each router, and nothing about the inside. */
function affinityValue(dynoId: string): string {
  return createHash("sha256").update(`affinity ${dynoId}`).digest("base64url").slice(0, 22);
}

/** The dyno that a client was sent to before, if it is still there (contract §3.9). */
export function stickyDyno(
  headers: HeaderLines,
  dynos: readonly RouteDyno[],
): RouteDyno | undefined {
  const value = cookieOf(headers);
  if (value === undefined) return undefined;
  return dynos.find(({ id }) => affinityValue(id) === value);
}

/** The cookie that keeps a client at a dyno; nothing when it has that cookie already. */
export function affinityCookie(
  headers: HeaderLines,
  options: { dynoId: string; host: string; nowMs: number },
): string | undefined {
  const value = affinityValue(options.dynoId);
  if (cookieOf(headers) === value) return undefined;
  const expires = new Date(options.nowMs + maxAgeSeconds * 1_000).toUTCString();
  return (
    `${cookieName}=${value}; Version=1; Expires=${expires}; Max-Age=${maxAgeSeconds}; ` +
    `Domain=${options.host}; Path=/; HttpOnly`
  );
}

function cookieOf(headers: HeaderLines): string | undefined {
  for (const value of headers.values(known.cookie)) {
    for (const pair of value.split(";")) {
      const [name, text] = pair.trim().split("=", 2);
      if (name === cookieName) return text;
    }
  }
  return undefined;
}
