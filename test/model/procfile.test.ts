import { expect, test } from "bun:test";
import { parseProcfile } from "../../src/model/procfile.ts";

const cases: [what: string, text: string, types: Record<string, string>][] = [
  ["one line", "web: node server.js", { web: "node server.js" }],
  ["CRLF", "web: a\r\nworker: b\r\n", { web: "a", worker: "b" }],
  ["bare CR", "web: a\rworker: b", { web: "a", worker: "b" }],
  ["tabs", "web:\tnode\tserver.js\t\n\tworker:\t\tb", { web: "node\tserver.js", worker: "b" }],
  ["a byte order mark", "\uFEFFweb: a", { web: "a" }],
  ["no space after the colon", "web:node x:y", { web: "node x:y" }],
  ["comments and blank lines", "# web: no\n\n   \nweb: yes # kept", { web: "yes # kept" }],
  ["names with dashes, digits, underscores", "a-1_B: x", { "a-1_B": "x" }],
  ["the last of a type", "web: a\nweb: b", { web: "b" }],
  ["lines of no type", "nonsense\n: x\nweb\nwe b: x\nwéb: x\nweb :x", {}],
  ["a type without a command", "web:\nworker:   ", {}],
  ["a NUL in a command", "web: a\0b\nworker: c", { worker: "c" }],
  [
    "a name that is too long",
    `${"a".repeat(129)}: x\n${"b".repeat(128)}: y`,
    { ["b".repeat(128)]: "y" },
  ],
  ["nothing", "", {}],
  ["binary", "\u0000\u0001\u0002\u00FF\n\u0000", {}],
];

for (const [what, text, types] of cases)
  test(`a Procfile with ${what}`, () => {
    expect(parseProcfile(text)).toEqual(types);
  });

test("names of JavaScript's own are types like others", () => {
  const types = parseProcfile("constructor: a\n__proto__: b\ntoString: c");
  expect(new Map(Object.entries(types))).toEqual(
    new Map([
      ["constructor", "a"],
      ["__proto__", "b"],
      ["toString", "c"],
    ]),
  );
  expect(Object.getPrototypeOf({})).toBe(Object.prototype);
});

test("a million lines of nonsense declare nothing", () => {
  expect(parseProcfile(`${" \t".repeat(200_000)}\n${"x\n".repeat(1_000_000)}`)).toEqual({});
});
