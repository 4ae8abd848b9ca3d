import { Octokit } from "@octokit/rest";
import { writeFileSync } from "node:fs";
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

/** Commits of GitHub by its API; a token in the address opens private repositories. */
export function fetchFromGithub(
  { owner, repo }: GithubRepository,
  options: {
    ref: string | null;
    credentials: string | null;
  },
) {
  const { ref, credentials } = options;
  // `TOKEN@`, `TOKEN:x-oauth-basic@` and `x-access-token:TOKEN@` are all usual.
  const token = credentials
    ?.split(":")
    .filter((part) => part && !/^x-(?:oauth-basic|access-token)$/.test(part))
    .at(-1);
  const github = new Octokit(token === undefined ? {} : { auth: token });
  const asked = async <T>(ask: Promise<T>): Promise<T> => {
    try {
      return await ask;
    } catch (error) {
      throw new FetchFailed(`GitHub does not give ${owner}/${repo}: ${(error as Error).message}`);
    }
  };
  return {
    async resolve(): Promise<string> {
      const answer = await asked(github.rest.repos.getCommit({ owner, repo, ref: ref ?? "HEAD" }));
      return answer.data.sha;
    },
    /** Writes the commit as GitHub packs it, in an outer folder. */
    async fetch(commit: string, path: string): Promise<void> {
      const answer = await asked(
        github.rest.repos.downloadTarballArchive({ owner, repo, ref: commit }),
      );
      writeFileSync(path, Buffer.from(answer.data as ArrayBuffer), { mode: 0o600 });
    },
  };
}
