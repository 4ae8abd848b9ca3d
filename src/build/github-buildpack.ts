import { Octokit } from "@octokit/rest";
import { readSecrets } from "../lib/address-secrets.ts";
import { FetchFailed } from "./fetch-inside.ts";

export interface GithubRepository {
  owner: string;
  repo: string;
}

/** The repository that an address of github.com names. */
export function githubRepository(url: string): GithubRepository | undefined {
  const { hostname, pathname } = new URL(url);
  const [, owner, repo] = /^\/([\w.-]+)\/([\w.-]+?)(?:\.git)?\/?$/.exec(pathname) ?? [];
  return hostname === "github.com" && owner && repo ? { owner, repo } : undefined;
}

interface Door {
  /** Where GitHub's API is. */
  api: string;
  secrets: string | null;
}

const timeoutMs = 30_000;
/** What GitHub refuses is the builder's to hear, and nothing for the server's own log. */
const silence = { debug() {}, info() {}, warn() {}, error() {} };
const commitPattern = /^[0-9a-f]{40}$/;

/**
 * Which commit a branch, a tag, the beginning of a commit or the default branch (`null`) is now, by GitHub's API. One that
 * is named whole is itself, unasked: without a token GitHub answers a machine sixty times an hour.
 */
export async function resolveOnGithub(
  { owner, repo }: GithubRepository,
  { ref, secrets, api: baseUrl }: Door & { ref: string | null },
): Promise<string> {
  if (ref !== null && commitPattern.test(ref)) return ref;
  const auth = tokenOf(secrets);
  const github = new Octokit({ baseUrl, log: silence, ...(auth !== undefined && { auth }) });
  try {
    const request = { signal: AbortSignal.timeout(timeoutMs) };
    const answer = await github.rest.repos.getCommit({ owner, repo, ref: ref ?? "HEAD", request });
    if (commitPattern.test(answer.data.sha)) return answer.data.sha;
    throw new Error("it does not answer as GitHub does");
  } catch (error) {
    const { status, message } = error as Error & { status?: number };
    const reason = wayOut(status, { hasToken: auth !== undefined, ref }) ?? message;
    throw new FetchFailed(`GitHub does not give ${owner}/${repo}: ${reason}`);
  }
}

/** What a refusal of GitHub's means, and what to do (docs.github.com, REST API, troubleshooting). Pure. */
function wayOut(
  status: number | undefined,
  { hasToken, ref }: { hasToken: boolean; ref: string | null },
): string | undefined {
  switch (status ?? 0) {
    case 401:
      return "it does not know the token in the address";
    case 403:
    case 429:
      return hasToken
        ? "the token in the address has no right to it, or has asked too often this hour"
        : "this server has asked too often this hour. With a token it may ask more, https://TOKEN@github.com/…; a whole commit after the # needs no asking";
    case 404:
      return hasToken
        ? "there is no such repository, or the token in the address may not read it"
        : "there is no such repository, or it is private: https://TOKEN@github.com/… opens it";
    case 422:
      return `it has no branch, tag or commit ${ref ?? "at all"}`;
    default:
      return undefined;
  }
}

/** Where GitHub has a commit as an archive; its outer folder is left off when it is unpacked. */
export function githubArchive(
  { owner, repo }: GithubRepository,
  { commit, secrets, api }: Door & { commit: string },
): { url: string; secrets: string | null } {
  const token = tokenOf(secrets);
  return {
    url: `${api}/repos/${owner}/${repo}/tarball/${commit}`,
    secrets: token === undefined ? null : `x-access-token:${encodeURIComponent(token)}`,
  };
}

/** `TOKEN@`, `TOKEN:x-oauth-basic@` and `x-access-token:TOKEN@` are all usual. */
function tokenOf(secrets: string | null): string | undefined {
  return readSecrets(secrets)
    .credentials?.split(":")
    .filter((part) => part && !/^x-(?:oauth-basic|access-token)$/.test(part))
    .at(-1);
}
