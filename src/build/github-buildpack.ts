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

/** Which commit a branch, a tag or the default branch is now, by GitHub's API. */
export async function resolveOnGithub(
  { owner, repo }: GithubRepository,
  { ref, secrets }: { ref: string | null; secrets: string | null },
): Promise<string> {
  const token = tokenOf(secrets);
  const github = new Octokit(token === undefined ? {} : { auth: token });
  try {
    const answer = await github.rest.repos.getCommit({ owner, repo, ref: ref ?? "HEAD" });
    return answer.data.sha;
  } catch (error) {
    throw new FetchFailed(`GitHub does not give ${owner}/${repo}: ${(error as Error).message}`);
  }
}

/** Where GitHub has a commit as an archive; its outer folder is left off when it is unpacked. */
export function githubArchive(
  { owner, repo }: GithubRepository,
  { commit, secrets }: { commit: string; secrets: string | null },
): { url: string; secrets: string | null } {
  const token = tokenOf(secrets);
  return {
    url: `https://api.github.com/repos/${owner}/${repo}/tarball/${commit}`,
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
