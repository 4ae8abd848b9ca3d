import { expect, test } from "bun:test";
import { typeImage } from "../../src/dyno/opened-release.ts";
import { programOf } from "../../src/dyno/image-program.ts";
import { imageCommand, type TypeImage } from "../../src/model/slug.ts";

const image = (change: Partial<TypeImage>): TypeImage => ({
  ...{ id: "sha256:1", sha256: "2", sizeBytes: 3, environment: {}, workingDirectory: "/" },
  ...{ home: "/", entrypoint: [], command: [], ownCommand: true },
  ...change,
});
const ofType = { kind: "formation", type: "web", command: "shown" } as const;
const oneOff = { kind: "attached", type: "run", command: 'echo "$A" b' } as const;

test("a dyno runs what its image says, word for word", () => {
  const own = image({ entrypoint: ["/entry"], command: ["serve", "a b"] });
  expect(programOf(own, ofType)).toEqual(["/entry", "serve", "a b"]);
  expect(programOf(own, { ...ofType, kind: "attached", type: "release" })).toHaveLength(3);
});

test("a command of heroku.yml or of a person is a line for a shell, started by the ENTRYPOINT", () => {
  const command = 'echo "$A" b';
  expect(programOf(image({ ownCommand: false, command: ["x"] }), { ...ofType, command })).toEqual([
    ...["/bin/sh", "-c", command],
  ]);
  expect(programOf(image({ entrypoint: ["/entry"] }), oneOff)).toEqual([
    ...["/entry", "/bin/sh", "-c", command],
  ]);
  expect(programOf(image({ entrypoint: ["bash", "-l", "-c"] }), oneOff)).toEqual([
    ...["bash", "-l", "-c", command],
  ]);
});

test("the command that is shown can be typed", () => {
  expect(imageCommand({ entrypoint: ["/entry"], command: ["it's", "$A", ""] })).toBe(
    `/entry 'it'\\''s' '$A' ''`,
  );
});

test("a type runs on its own image, a one-off on the web's or the only one; a slug has none", () => {
  const [web, worker] = [image({ id: "web" }), image({ id: "worker" })];
  const of = (images: Record<string, TypeImage> | null, type: string) =>
    typeImage({ images }, type)?.id;
  expect(of({ worker, web }, "worker")).toBe("worker");
  expect(of({ worker, web }, "run")).toBe("web");
  expect(of({ worker }, "run")).toBe("worker");
  expect(of({ worker, web }, "constructor")).toBe("web");
  expect(of(null, "web")).toBeUndefined();
});
