import { expect, test } from "bun:test";
import { readReleaseOutput } from "../../src/build/release-output.ts";

test("a release that prints nothing, an empty document or an empty mapping says nothing", () => {
  for (const yaml of ["", "\n", "---\n", "--- {}\n", "---\naddons:\ndefault_process_types:\n"])
    expect(readReleaseOutput(yaml)).toEqual({ processTypes: {}, addons: [], problems: [] });
});

test("process types and add-ons are read, also in the forms of older buildpacks", () => {
  const yaml = `--- !ruby/hash:Hash
addons:
  - heroku-postgresql
  - heroku-redis:mini
  - heroku-postgresql
config_vars:
  PATH: bin
default_process_types:
  web: "bin/rails server -p \${PORT:-5000} -e $RAILS_ENV"
  console: bin/rails console
`;
  expect(readReleaseOutput(yaml)).toEqual({
    processTypes: {
      web: "bin/rails server -p ${PORT:-5000} -e $RAILS_ENV",
      console: "bin/rails console",
    },
    addons: ["heroku-postgresql", "heroku-redis:mini"],
    problems: [],
  });
});

test("of a release that is partly nonsense the rest is used, and the nonsense is told", () => {
  const yaml = `
addons: [good, 5, {a: b}, "Not A Name", "x; rm -rf /", "$(id)", "a:b:c", null, "\\u001b[2J"]
default_process_types:
  web: run me
  "../../etc": bad
  worker: [sleep]
  empty: ""
`;
  expect(readReleaseOutput(yaml)).toEqual({
    processTypes: { web: "run me" },
    addons: ["good"],
    problems: [
      "3 of its default_process_types are no `type: command`",
      "8 of its addons are no names of add-ons",
    ],
  });
});

const aliases = "bcdefghij"
  .split("")
  .map((name, index) => `${name}: &${name} [${`*${"abcdefghi"[index]},`.repeat(9).slice(0, -1)}]`)
  .join("\n");

test.each([
  ["is cut off", "default_process_types: {web: run", 1],
  ["is a list", "- web\n", 1],
  ["is a text", "web\n", 1],
  ["is several documents", "--- {}\n--- {}\n", 1],
  ["has its parts in the wrong form", "addons: {a: b}\ndefault_process_types: [web]\n", 2],
  ["is nested without end", "[".repeat(60_000), 1],
  ["refers to itself", "default_process_types: &a\n  web: *a\naddons: &b [*b]\n", 2],
  ["grows when it is read", `a: &a [x,x,x,x,x,x,x,x,x]\n${aliases}\n`, 1],
])("a release that %s says nothing and does no harm", (_, yaml, problems) => {
  const read = readReleaseOutput(yaml);
  expect(read).toMatchObject({ processTypes: {}, addons: [] });
  expect(read.problems).toHaveLength(problems);
});

test("a release that asks for the names of objects' own parts, or for very many add-ons, gets none of them", () => {
  const { processTypes } = readReleaseOutput(
    "default_process_types:\n  __proto__: polluted\n  constructor: sleep 1\n",
  );
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  expect(Object.getPrototypeOf(processTypes)).toBe(Object.prototype);
  const many = Array.from({ length: 100 }, (_, index) => `- addon-${index}`).join("\n");
  const read = readReleaseOutput(`addons:\n${many}\n`);
  expect(read.addons).toHaveLength(20);
  expect(read.problems).toEqual(["it asks for more than 20 add-ons"]);
});
