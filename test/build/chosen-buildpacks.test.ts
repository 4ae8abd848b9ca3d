import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BadBuildpackFile, chooseBuildpacks } from "../../src/build/chosen-buildpacks.ts";
import { readBuildpackName } from "../../src/model/buildpack-source.ts";

let buildFolder: string;
beforeEach(() => {
  buildFolder = mkdtempSync(join(tmpdir(), "stator-chosen-"));
});
afterEach(() => rmSync(buildFolder, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFileSync(join(buildFolder, name), text);
function choose(set: string[] = [], config: Record<string, string> = {}) {
  const choice = chooseBuildpacks(set.map(readBuildpackName), { buildFolder, config });
  return (
    choice && [
      choice.origin,
      ...choice.buildpacks.map((one) => (one === "inline" ? one : one.text)),
    ]
  );
}

test("the config var BUILDPACK_URL wins, then what is set, then the app's files in their order", () => {
  mkdirSync(join(buildFolder, "bin"));
  for (const name of ["bin/detect", "bin/compile"]) {
    write(name, "#!/bin/sh\n");
    chmodSync(join(buildFolder, name), 0o755);
  }
  expect(choose()).toEqual(["bin/compile", "inline"]);
  write(".buildpacks", "# ours\n\nhttps://h/one.git\n heroku/two \r\n");
  expect(choose()).toEqual([".buildpacks", "https://h/one.git", "heroku/two"]);
  write("app.json", '{"name": "x", "buildpacks": [{"url": "heroku/three"}]}');
  expect(choose()).toEqual(["app.json", "heroku/three"]);
  write("project.toml", '[[io.buildpacks.group]]\nid = "heroku/four"\n');
  expect(choose()).toEqual(["project.toml", "heroku/four"]);
  expect(choose(["heroku/five"])).toEqual([null, "heroku/five"]);
  expect(choose(["heroku/five"], { BUILDPACK_URL: "https://h/six" })).toEqual([
    "BUILDPACK_URL",
    "https://h/six",
  ]);
});

test("nothing is chosen where nothing is said: other contents, no programs, links", () => {
  write("app.json", '{"name": "no buildpacks"}');
  write("project.toml", "this is = not [toml");
  symlinkSync("/etc/hostname", join(buildFolder, ".buildpacks"));
  mkdirSync(join(buildFolder, "bin"));
  write("bin/detect", "not executable");
  write("bin/compile", "not executable");
  expect(choose()).toBeUndefined();
});

test("a file that names no buildpack is told with its name", () => {
  write(".buildpacks", "file:///etc/passwd\n");
  expect(() => choose()).toThrow(BadBuildpackFile);
  expect(() => choose()).toThrow('.buildpacks: Buildpack "file:///etc/passwd" is neither a name');
});
