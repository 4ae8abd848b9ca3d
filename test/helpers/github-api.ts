import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";

/** The one token that this GitHub knows. */
export const githubToken = "ghp_opensesame";

/**
 * Answers as GitHub's API does (REST API, "Get a commit" and "Download a repository archive"), of the git
 * repositories OWNER/REPO in a folder. Those of `secret` are private, and of `busy` nobody may ask any more this hour.
 */
export async function answerAsGithub(
  request: Request,
  { folder, at }: { folder: string; at: string },
): Promise<Response> {
  const url = new URL(request.url);
  const token = tokenOf(request);
  if (token !== undefined && token !== githubToken) return problem(401, "Bad credentials");
  const [, download, owner = "", repo = "", verb, ref = ""] =
    /^\/(?:(codeload)|repos)\/([^/]+)\/([^/]+)\/(commits|tarball)\/(.+)$/.exec(
      url.pathname.slice(at.length),
    ) ?? [];
  if (owner === "busy") return problem(403, "API rate limit exceeded for 192.0.2.1.");
  const repository = join(folder, owner, repo);
  const git = (...args: string[]) =>
    exec(["git", "-c", "safe.directory=*", "-C", repository, ...args]);
  const mayRead = owner !== "secret" || token !== undefined;
  if (!mayRead || (await git("rev-parse", "--git-dir")).exitCode !== 0)
    return problem(404, "Not Found");
  const wanted = decodeURIComponent(ref);
  const { stdout, exitCode } = await git("rev-parse", "--verify", "--quiet", `${wanted}^{commit}`);
  const sha = stdout.trim();
  if (exitCode !== 0) return problem(422, `No commit found for SHA: ${wanted}`);
  if (verb === "commits") return Response.json({ sha, commit: { message: "A change" } });
  if (!download)
    return Response.redirect(`${url.origin}${at}/codeload/${owner}/${repo}/tarball/${sha}`, 302);
  const archive = join(folder, `${crypto.randomUUID()}.tar.gz`);
  const prefix = `${owner}-${repo}-${sha.slice(0, 7)}/`;
  await git("archive", `--prefix=${prefix}`, "--format=tar.gz", "--output", archive, sha);
  return new Response(Bun.file(archive));
}

/** `token X` of its clients, or the password of a download. */
function tokenOf(request: Request): string | undefined {
  const [kind = "", value = ""] = (request.headers.get("authorization") ?? "").split(" ");
  if (value === "") return undefined;
  if (kind.toLowerCase() !== "basic") return value;
  return Buffer.from(value, "base64").toString().replace("x-access-token:", "");
}

function problem(status: number, message: string): Response {
  return Response.json({ message, documentation_url: "https://docs.github.com/rest" }, { status });
}
