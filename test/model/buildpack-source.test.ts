import { expect, test } from "bun:test";
import { buildpackSource, isPinned, readBuildpackName } from "../../src/model/buildpack-source.ts";

test("names, repositories and archives are told apart, and secrets are taken out", () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const rows: [given: string, text: string, secrets: string | null, source: object][] = [
    [
      "heroku/nodejs",
      "heroku/nodejs",
      null,
      { kind: "named", namespace: "heroku", name: "nodejs" },
    ],
    ["urn:buildpack:Heroku/Python", "heroku/python", null, { kind: "named", name: "python" }],
    ["https://github.com/o/r", "https://github.com/o/r", null, { kind: "git", ref: null }],
    [
      "https://github.com/o/r.git#v1",
      "https://github.com/o/r.git#v1",
      null,
      { kind: "git", url: "https://github.com/o/r.git", ref: "v1" },
    ],
    [
      "https://t0ken@git.example/p#feature/x",
      "https://git.example/p#feature/x",
      "t0ken:",
      { kind: "git", ref: "feature/x" },
    ],
    ["https://u:p%40ss@git.example/p", "https://git.example/p", "u:p%40ss", { kind: "git" }],
    ["https://e.example/x.tgz", "https://e.example/x.tgz", null, { kind: "archive" }],
    [
      "http://e.example/x.tar.gz?sig=1",
      "http://e.example/x.tar.gz",
      ":?sig=1",
      { kind: "archive" },
    ],
  ];
  for (const [given, text, secrets, source] of rows) {
    expect(readBuildpackName(given)).toEqual({ text, secrets });
    expect(buildpackSource(text)).toMatchObject(source);
  }
  expect(isPinned(`https://github.com/o/r#${commit}`)).toBe(true);
  expect(isPinned("https://github.com/o/r#main")).toBe(false);
});

test("what is neither is refused, without the secrets that it has", () => {
  for (const text of [
    "",
    "nodejs",
    "git@github.com:o/r.git",
    "file:///etc",
    "ssh://git@h/p",
    "--upload-pack=x",
    "https://h/p#--x",
    "https://h/p#a..b",
    "https://u:opensesame@h/p#a b",
  ])
    expect(() => readBuildpackName(text)).toThrow("Buildpack ");
  for (const text of ["ftp://u:opensesame@h/p", "https://h/p.git?token=opensesame"])
    try {
      readBuildpackName(text);
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message).toContain('Buildpack "');
      expect((error as Error).message).not.toContain("opensesame");
    }
});
