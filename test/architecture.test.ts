import { expect, test } from "bun:test";
import { dirname, join, relative } from "node:path";

/** The rooms of src/ from the ground up (src/README.md), and what each may import besides itself. */
const mayImport: Record<string, string[]> = {
  lib: [],
  bundle: [],
  model: ["lib"],
  logs: ["lib", "model"],
  slug: ["lib", "model"],
  image: ["lib"],
  repository: ["lib", "model"],
  runtime: ["lib"],
  router: ["lib", "logs"],
  certs: ["lib", "model", "logs"],
  build: ["lib", "model", "logs", "slug", "runtime"],
  dyno: ["lib", "model", "logs", "slug", "runtime"],
  deploy: [
    "image",
    ...["lib", "model", "logs", "slug", "repository", "runtime", "router", "certs"],
    ...["build", "dyno"],
  ],
  settings: ["lib"],
  "public-urls.ts": [],
  toolbox: ["lib", "settings"],
  platform: [
    ...["lib", "model", "logs", "slug", "image", "repository", "runtime", "router", "certs"],
    ...["build", "dyno", "deploy", "settings"],
  ],
  "platform.ts": [
    ...["model", "repository", "dyno", "deploy", "platform", "settings", "public-urls.ts"],
  ],
  "router-process.ts": ["lib", "router", "settings"],
  git: ["lib", "model", "logs", "repository", "build", "deploy", "platform.ts"],
  api: ["lib", "model", "logs", "dyno", "deploy", "platform.ts"],
  cli: ["lib", "settings/cli-settings.ts", "api/client.ts"],
  "server.ts": ["lib", "model", "git", "api", "platform.ts", "router-process.ts", "settings"],
  "main.ts": [
    "lib",
    "bundle",
    "server.ts",
    "router",
    "runtime",
    "git",
    "toolbox",
    "cli",
    "settings",
  ],
  "docs.ts": ["bundle", "cli"],
};

/** Things that one room does on behalf of all. */
const onlyIn: [what: string, pattern: RegExp, where: RegExp][] = [
  ["read the environment", /\bprocess\.env\b|\bBun\.env\b|\bimport\.meta\.env\b/, /^settings\//],
  [
    "start a process",
    /\bBun\.(?:spawn|spawnSync|\$)|\bfrom "(?:node:)?child_process"|\bimport \{[^}]*(?:\$|spawn|spawnSync)[^}]*\} from "bun"/,
    /^lib\/exec\.ts$/,
  ],
  ["know the database", /["']drizzle-orm\b|["']bun:sqlite["']/, /^model\//],
  ["list files to import", /\bimport\.meta\.glob\b/, /^(?:bundle\/|.*registry\.ts$)/],
];

interface SourceFile {
  path: string;
  room: string;
  source: string;
  imports: string[];
}

/** Comments say what they like; strings stay, since imports are strings. */
function withoutComments(source: string): string {
  return source.replaceAll(/(^|\s)\/\/.*$|^\s*\/\*[\s\S]*?\*\//gm, "$1");
}

/** Every module that a file names: `import`, `import type`, `export … from`, `import()`, `import "…"`. */
function importsOf(source: string): string[] {
  const statement = /\b(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']/g;
  const bare = /\bimport\s*["']([^"']+)["']/g;
  const called = /\b(?:import|require)\s*\(\s*["']([^"']+)["']/g;
  const text = withoutComments(source);
  return [statement, bare, called].flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([, target = ""]) => target),
  );
}

const src = join(import.meta.dir, "../src");
const files: SourceFile[] = await Promise.all(
  [...new Bun.Glob("**/*.{ts,tsx}").scanSync(src)].sort().map(async (path) => {
    const source = withoutComments(await Bun.file(join(src, path)).text());
    const imports = importsOf(source)
      .filter((target) => target.startsWith("."))
      .map((target) => relative(src, join(src, dirname(path), target)));
    return { path, room: path.split("/")[0] ?? path, source, imports };
  }),
);

/** Arrows from one room to another that are not on the map. */
function wrongArrows(of: SourceFile[]): string[] {
  return of.flatMap(({ path, room, imports }) =>
    imports
      .filter((target) => target.split("/")[0] !== room)
      .filter(
        (target) =>
          !mayImport[room]?.some((below) => target === below || target.startsWith(`${below}/`)),
      )
      .map((target) => `${path} imports ${target}`),
  );
}

/** Ways from a file back to itself. */
function circles(of: SourceFile[]): string[] {
  const byPath = new Map(of.map((file) => [file.path, file]));
  const done = new Set<string>();
  const found: string[] = [];
  function visit(path: string, way: string[]): void {
    const start = way.indexOf(path);
    if (start >= 0) found.push([...way.slice(start), path].join(" → "));
    if (start >= 0 || done.has(path)) return;
    for (const target of byPath.get(path)?.imports ?? []) visit(target, [...way, path]);
    done.add(path);
  }
  for (const { path } of of) visit(path, []);
  return found;
}

test("every import of src/ is read, the ones of types too", () => {
  const sources = files.map(({ source }) => source).join("\n");
  const lines = [...sources.matchAll(/\bfrom "\.{1,2}\/|\bimport(?:\(\s*| )"\.{1,2}\//g)].length;
  const read = files.reduce((sum, { imports }) => sum + imports.length, 0);
  expect(files.length).toBeGreaterThan(80);
  expect(read).toBeGreaterThan(250);
  expect(read).toBe(lines);
  const known = new Set(files.map(({ path }) => path));
  const unknown = files.flatMap(({ path, imports }) =>
    imports
      .filter((target) => !known.has(target) && !/\.(?:css|json|md)$|^\.\./.test(target))
      .map((target) => `${path} imports ${target}`),
  );
  expect(unknown).toEqual([]);
});

test("imports are found in all the ways of writing them", () => {
  const source = `import a from "./a.ts";
import type { B } from "./b.ts";
import {
  c,
  type D,
} from "./c.ts";
export type { E } from "./e.ts";
export * from './f.ts';
import "./g.ts";
const h = await import("./h.ts");
// import not from "./comment.ts";
/** import not from "./comment.ts" */
`;
  expect(importsOf(source).sort()).toEqual(
    ["a", "b", "c", "e", "f", "g", "h"].map((name) => `./${name}.ts`),
  );
});

test("a wrong arrow and a circle would be seen", () => {
  const file = (path: string, ...imports: string[]) => ({
    ...{ path, room: path.split("/")[0] ?? path, source: "", imports },
  });
  expect(wrongArrows([file("dyno/x.ts", "api/y.ts", "dyno/z.ts", "lib/a.ts")])).toEqual([
    "dyno/x.ts imports api/y.ts",
  ]);
  expect(
    wrongArrows([file("cli/x.ts", "api/client.ts", "api/api.ts", "settings/cli-settings.ts")]),
  ).toEqual(["cli/x.ts imports api/api.ts"]);
  expect(circles([file("lib/a.ts", "lib/b.ts"), file("lib/b.ts", "lib/a.ts")])).toEqual([
    "lib/a.ts → lib/b.ts → lib/a.ts",
  ]);
});

test("every room is on the map", () => {
  expect(files.filter(({ room }) => !(room in mayImport)).map(({ path }) => path)).toEqual([]);
});

test("every room of the map is in src/", () => {
  const rooms = new Set(files.map(({ room }) => room));
  expect(Object.keys(mayImport).filter((room) => !rooms.has(room))).toEqual([]);
});

test("a room imports only what is below it", () => {
  expect(wrongArrows(files)).toEqual([]);
});

test("no file imports itself by way of others", () => {
  expect(circles(files)).toEqual([]);
});

test("the map itself has no circle: each room stands on rooms above it in the list", () => {
  const order = Object.keys(mayImport);
  const floor = (name: string) => order.indexOf(name.split("/")[0] ?? name);
  const wrong = Object.entries(mayImport).flatMap(([room, below]) =>
    below.filter((other) => floor(other) >= floor(room)).map((other) => `${room} → ${other}`),
  );
  expect(wrong).toEqual([]);
});

for (const [what, pattern, where] of onlyIn)
  test(`only ${where.source} may ${what}`, () => {
    const who = files.filter(({ source }) => pattern.test(source)).map(({ path }) => path);
    expect(who.filter((path) => !where.test(path) && !path.startsWith("bundle/"))).toEqual([]);
    expect(who).not.toEqual([]);
  });
