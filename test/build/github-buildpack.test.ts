import { expect, test } from "bun:test";
import { githubArchive, githubRepository } from "../../src/build/github-buildpack.ts";

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

test("a token is known in each of the usual ways, and goes to GitHub alone", () => {
  for (const secrets of ["t0ken:", "t0ken:x-oauth-basic", "x-access-token:t0ken"])
    expect(githubArchive({ owner: "o", repo: "r" }, { commit: "c", secrets })).toEqual({
      url: "https://api.github.com/repos/o/r/tarball/c",
      secrets: "x-access-token:t0ken",
    });
  expect(
    githubArchive({ owner: "o", repo: "r" }, { commit: "c", secrets: null }).secrets,
  ).toBeNull();
});
