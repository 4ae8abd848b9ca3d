import { Octokit } from "@octokit/rest";
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
  { ref, credentials }: { ref: string | null; credentials: string | null },
): Promise<string> {
  const token = tokenOf(credentials);
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
  { commit, credentials }: { commit: string; credentials: string | null },
): { url: string; credentials: string | null } {
  const token = tokenOf(credentials);
  return {
    url: `https://api.github.com/repos/${owner}/${repo}/tarball/${commit}`,
    credentials: token === undefined ? null : `x-access-token:${token}`,
  };
}

/** `TOKEN@`, `TOKEN:x-oauth-basic@` and `x-access-token:TOKEN@` are all usual. */
function tokenOf(credentials: string | null): string | undefined {
  return credentials
    ?.split(":")
    .filter((part) => part && !/^x-(?:oauth-basic|access-token)$/.test(part))
    .at(-1);
}
