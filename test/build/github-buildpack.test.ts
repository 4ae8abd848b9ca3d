import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  githubArchive,
  githubRepository,
  resolveOnGithub,
} from "../../src/build/github-buildpack.ts";
import { execOk } from "../../src/lib/exec.ts";
import { answerAsGithub, githubToken } from "../helpers/github-api.ts";
import { userEnvironment } from "../helpers/stator-server.ts";

const folder = mkdtempSync(join(tmpdir(), "stator-github-"));
let asked: string[] = [];
const github = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request) {
    asked.push(`${request.headers.get("authorization")} ${new URL(request.url).pathname}`);
    return answerAsGithub(request, { folder, at: "/api/v3" });
  },
});
const api = `${github.url.origin}/api/v3`;

/** Makes a repository with two commits: the tag `v1` and the branch `on/hold` are the first of them. */
async function repository(owner: string, repo: string): Promise<string[]> {
  const path = join(folder, owner, repo);
  mkdirSync(path, { recursive: true });
  const git = (...args: string[]) =>
    execOk(["git", "-C", path, ...args], { env: userEnvironment(folder) });
  await git("init", "--quiet", "--initial-branch=trunk");
  const commits: string[] = [];
  for (const message of ["one", "two"]) {
    await git("commit", "--quiet", "--allow-empty", "-m", message);
    commits.push((await git("rev-parse", "HEAD")).trim());
  }
  await git("tag", "-m", "annotated", "v1", "HEAD~1");
  await git("branch", "on/hold", "HEAD~1");
  return commits;
}

let open: string[];
let closed: string[];
beforeAll(async () => {
  open = await repository("acme", "pack");
  closed = await repository("secret", "pack");
});
afterAll(async () => {
  await github.stop(true);
  rmSync(folder, { recursive: true });
});

const resolve = (owner: string, ref: string | null, secrets: string | null = null) =>
  resolveOnGithub({ owner, repo: "pack" }, { ref, secrets, api });
const refusal = (resolved: Promise<string>) =>
  resolved.then(
    (commit) => `found ${commit}`,
    (error: Error) => error.message,
  );

test("GitHub's API says which commit a branch, a tag, half a commit and nothing at all mean", async () => {
  const [one = "", two = ""] = open;
  asked = [];
  expect(await resolve("acme", null)).toBe(two);
  expect(await resolve("acme", "trunk")).toBe(two);
  expect(await resolve("acme", "on/hold")).toBe(one);
  expect(await resolve("acme", "v1")).toBe(one);
  expect(await resolve("acme", one.slice(0, 8))).toBe(one);
  expect(asked).toEqual(
    ["HEAD", "trunk", "on%2Fhold", "v1", one.slice(0, 8)].map(
      (ref) => `null /api/v3/repos/acme/pack/commits/${ref}`,
    ),
  );
});

test("a whole commit is itself: it costs none of the questions that GitHub answers an hour", async () => {
  asked = [];
  expect(await resolve("busy", open[0] as string)).toBe(open[0] as string);
  expect(asked).toEqual([]);
});

test("a token opens what is private, and without one it is as if it were not there", async () => {
  asked = [];
  expect(await resolve("secret", "trunk", `${githubToken}:`)).toBe(closed[1] as string);
  expect(asked).toEqual([`token ${githubToken} /api/v3/repos/secret/pack/commits/trunk`]);
  expect(await refusal(resolve("secret", "trunk"))).toBe(
    "GitHub does not give secret/pack: there is no such repository, or it is private: https://TOKEN@github.com/… opens it",
  );
  expect(await refusal(resolve("nobody", null, `x-access-token:${githubToken}`))).toBe(
    "GitHub does not give nobody/pack: there is no such repository, or the token in the address may not read it",
  );
});

test("what GitHub refuses is told with the way out, and without the token", async () => {
  expect(await refusal(resolve("acme", "nowhere"))).toBe(
    "GitHub does not give acme/pack: it has no branch, tag or commit nowhere",
  );
  const stolen = await refusal(resolve("acme", null, "ghp_another:"));
  expect(stolen).toBe("GitHub does not give acme/pack: it does not know the token in the address");
  expect(await refusal(resolve("busy", null))).toBe(
    "GitHub does not give busy/pack: this server has asked too often this hour. With a token it may ask more, https://TOKEN@github.com/…; a whole commit after the # needs no asking",
  );
});

test("a GitHub that is not there, or is none, is told", async () => {
  const elsewhere = (address: string) =>
    refusal(
      resolveOnGithub({ owner: "acme", repo: "pack" }, { ref: null, secrets: null, api: address }),
    );
  expect(await elsewhere("http://127.0.0.1:1")).toStartWith("GitHub does not give acme/pack: ");
  const other = Bun.serve({ port: 0, fetch: () => Response.json({ sha: "../../etc/passwd" }) });
  expect(await elsewhere(other.url.origin)).toBe(
    "GitHub does not give acme/pack: it does not answer as GitHub does",
  );
  await other.stop(true);
});

test("addresses of GitHub are known, and of no other host", () => {
  const repository = { owner: "heroku", repo: "heroku-buildpack-nodejs" };
  const paths = ["heroku/heroku-buildpack-nodejs", "heroku/heroku-buildpack-nodejs.git"];
  for (const path of paths)
    expect(githubRepository(`https://github.com/${path}`)).toEqual(repository);
  for (const url of [
    "https://github.com/heroku",
    "https://github.com.evil.example/a/b",
    "https://h/github.com/a/b",
  ])
    expect(githubRepository(url)).toBeUndefined();
});

test("a token is known in each of the usual ways, and goes to GitHub's API alone", () => {
  const there = { owner: "o", repo: "r" };
  const about = { commit: "c", api: "https://api.github.com" };
  for (const secrets of ["t0ken:", "t0ken:x-oauth-basic", "x-access-token:t0ken"])
    expect(githubArchive(there, { ...about, secrets })).toEqual({
      url: "https://api.github.com/repos/o/r/tarball/c",
      secrets: "x-access-token:t0ken",
    });
  expect(githubArchive(there, { ...about, secrets: null }).secrets).toBeNull();
});
