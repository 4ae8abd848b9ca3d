/**
 * What of a web address is a secret, taken out of it: `user:password?query`, or nothing. The query
 * belongs to it, since it is where signatures and tokens of archives stand.
 */
export function takeSecrets(url: URL): string | null {
  const secrets = `${url.username}:${url.password}${url.search}`;
  url.username = url.password = url.search = "";
  return secrets === ":" ? null : secrets;
}

/** The two parts of what was taken: `user:password` as it was meant, and the query with its `?`. */
export function readSecrets(secrets: string | null | undefined): {
  credentials: string | undefined;
  query: string;
} {
  const [, user = "", password = "", query = ""] =
    /^([^:?]*):([^?]*)(\?.*)?$/s.exec(secrets ?? "") ?? [];
  const credentials = [user, password].map(decodeURIComponent).join(":");
  return { credentials: credentials === ":" ? undefined : credentials, query };
}
