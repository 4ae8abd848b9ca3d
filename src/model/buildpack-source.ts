import { readSecrets, takeSecrets } from "../lib/address-secrets.ts";
import { PlatformError } from "../lib/platform-error.ts";

/** Where a buildpack comes from. */
export type BuildpackSource =
  /** Built in, or of the registry: `heroku/nodejs`. */
  | { kind: "named"; namespace: string; name: string }
  /** A git repository; `ref` is a branch, a tag or a commit, `null` its default branch. */
  | { kind: "git"; url: string; ref: string | null }
  | { kind: "archive"; url: string }
  /** `bin/detect` and `bin/compile` of the app itself. */
  | { kind: "inline" };

/** A buildpack as an app names it: the text without secrets, and the secrets of its address. */
export interface BuildpackName {
  text: string;
  /** What was taken out of the address (lib/address-secrets.ts). */
  secrets: string | null;
}

const named = /^(?:urn:buildpack:)?([a-z0-9][a-z0-9-]{0,63})\/([a-z0-9][a-z0-9._-]{0,63})$/i;
const refPattern = /^[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}$/;

/** Reads what a person, an app's file or the API says; throws with the way out when it is none. */
export function readBuildpackName(text: string): BuildpackName {
  const trimmed = text.trim();
  const [, namespace, name] = named.exec(trimmed) ?? [];
  if (namespace && name) return { text: `${namespace}/${name}`.toLowerCase(), secrets: null };
  const url = URL.parse(trimmed);
  if (!url || !["https:", "http:"].includes(url.protocol) || !url.hostname)
    throw refusal(trimmed, "is neither a name (heroku/nodejs) nor an address with https://");
  const secrets = takeSecrets(url);
  const ref = url.hash.slice(1);
  if (ref && (!refPattern.test(ref) || ref.includes("..")))
    throw refusal(trimmed, "names no branch, tag or commit after its #");
  if (buildpackSource(url.href).kind === "git" && readSecrets(secrets).query)
    throw refusal(trimmed, "is an address of git, which has no ? in it");
  return { text: url.href, secrets };
}

/** What a name that was read stands for. */
export function buildpackSource(text: string): BuildpackSource {
  const [, namespace, name] = named.exec(text) ?? [];
  if (namespace && name) return { kind: "named", namespace, name };
  const url = new URL(text);
  const ref = url.hash.slice(1);
  url.hash = "";
  if (/\.(tgz|tar\.gz|tar\.zst|tar)$/.test(url.pathname)) return { kind: "archive", url: url.href };
  return { kind: "git", url: url.href, ref: ref || null };
}

/** Whether a name says exactly which code it means, now and for ever. */
export function isPinned(text: string): boolean {
  const source = buildpackSource(text);
  return source.kind === "git" && /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(source.ref ?? "");
}

function refusal(text: string, why: string): PlatformError {
  // Half an address may still have its password in it.
  const shown = text
    .replace(/\/\/[^/]*@/, "//")
    .replace(/\?[^#]*/, "")
    .slice(0, 200);
  return new PlatformError("invalid_params", `Buildpack ${JSON.stringify(shown)} ${why}.`);
}
