import { afterAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readImage } from "../../src/build/image-config.ts";

let folder = mkdtempSync(join(tmpdir(), "stator-image-"));
beforeEach(() => {
  rmSync(folder, { recursive: true });
  folder = mkdtempSync(join(tmpdir(), "stator-image-"));
  writeFileSync(join(folder, "id"), `${"a".repeat(64)}\n`);
});
afterAll(() => rmSync(folder, { recursive: true }));

const exported = (
  config: object | null,
  passwd = "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n",
) => {
  writeFileSync(join(folder, "config.json"), JSON.stringify({ OCIv1: { config } }));
  writeFileSync(join(folder, "passwd"), passwd);
  return readImage(folder);
};

test("an image's configuration is read as it is", () => {
  expect(
    exported({
      ...{ User: "node:node", WorkingDir: "/srv", Entrypoint: ["/entry", "a b"], Cmd: ["x"] },
      Env: ["PATH=/bin", "EQUALS=a=b", "EMPTY=", "LINES=one\ntwo"],
    }),
  ).toEqual({
    id: `sha256:${"a".repeat(64)}`,
    environment: { PATH: "/bin", EQUALS: "a=b", EMPTY: "", LINES: "one\ntwo" },
    ...{ entrypoint: ["/entry", "a b"], command: ["x"], workingDirectory: "/srv" },
    home: "/home/node",
  });
  expect(exported(null)).toMatchObject({ command: [], workingDirectory: "/", home: "/root" });
});

test("the home is the one of its user, by name or number", () => {
  const homeOf = (User: string, passwd?: string) =>
    (exported({ User }, passwd) as { home: string }).home;
  expect(homeOf("1000")).toBe("/home/node");
  expect(homeOf("node:5")).toBe("/home/node");
  expect(homeOf("nobody")).toBe("/");
  expect(homeOf("evil", "evil:x:1:1::../../etc:/bin/sh\n")).toBe("/");
});

test("what a build has left in its place is not believed", () => {
  expect(exported({ WorkingDir: "../up" })).toBe("its WORKDIR is no absolute path");
  expect(exported({ WorkingDir: "/a/../../b" })).toBe("its WORKDIR is no absolute path");
  expect(exported({ Cmd: "text" })).toBe("its configuration cannot be read");
  expect(exported({ Cmd: ["a\0b"] })).toBe("its configuration cannot be read");
  exported({});
  rmSync(join(folder, "config.json"));
  symlinkSync("/etc/hostname", join(folder, "config.json"));
  expect(readImage(folder)).toBe("its configuration cannot be read");
  writeFileSync(join(folder, "id"), "../../../etc");
  expect(readImage(folder)).toBe("it has no name");
});
