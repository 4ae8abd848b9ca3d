import { expect, test } from "bun:test";
import { findJsonError } from "../../buildpacks/nodejs/lib/json-error.ts";
import { resolveNode, wantedNode } from "../../buildpacks/nodejs/lib/node-version.ts";
import { isRange } from "../../buildpacks/nodejs/lib/versions.ts";

const available = [
  "18.20.4",
  "20.20.2",
  "22.1.0",
  "22.11.0",
  "24.1.0",
  "24.19.0",
  "25.2.0",
  "26.3.0",
];

const resolved: [engine: string, version: string | undefined, wide?: string][] = [
  ["24.x", "24.19.0"],
  ["22", "22.11.0"],
  ["v22.1.0", "22.1.0"],
  ["~22.1", "22.1.0"],
  ["18 || 20", "20.20.2"],
  ["20 - 22", "22.11.0"],
  [">=18", "24.19.0", "26.3.0"],
  [">= 18 <23", "22.11.0"],
  ["*", "24.19.0", "26.3.0"],
  ["latest", "24.19.0", "26.3.0"],
  ["25.x", "25.2.0"],
  [">=25", "26.3.0"],
  ["99.x", undefined],
];

for (const [engine, version, wide = version] of resolved) {
  test(`engines.node "${engine}" is ${version ?? "not to be had"}`, () => {
    const wanted = wantedNode(engine)!;
    expect(resolveNode(wanted, { available, allowWideRange: false })).toBe(version);
    expect(resolveNode(wanted, { available, allowWideRange: true })).toBe(wide);
  });
}

for (const engine of ["lts", "lts/*", "banana", "24 or so", "$(id)", "24..1"]) {
  test(`engines.node "${engine}" is refused`, () => {
    expect(() => wantedNode(engine)).toThrow(`engines.node in package.json is "${engine}"`);
  });
}

test("no engines.node, or an empty one, asks for nothing", () => {
  expect([undefined, "", " "].map(wantedNode)).toEqual([undefined, undefined, undefined]);
});

test("ranges that npm reads are ranges", () => {
  const ranges = [
    "1.2.3-beta.1",
    "^1.2",
    "=1.2.3",
    ">=1.0.0 <2.0.0 || 3.x",
    "1.2.x",
    "~> 1.2",
    "X",
  ];
  expect(ranges.filter((range) => !isRange(range))).toEqual([]);
});

const brokenJson: [text: string, line: number, column: number][] = [
  ['{"a": 1,}', 1, 9],
  ['{\n  "a": 1\n  "b": 2\n}', 3, 3],
  ["{ a: 1 }", 1, 3],
  ['{"a": [1, 2,]}', 1, 13],
  ['{"a": 01}', 1, 7],
  ['{"a": "\n"}', 1, 7],
  ['{"a": 1', 1, 8],
  ['{"a": 1} x', 1, 10],
  ["", 1, 1],
  ["<<<<<<< HEAD\n{}", 1, 1],
];

for (const [text, line, column] of brokenJson) {
  test(`${JSON.stringify(text)} stops being JSON in line ${line}, column ${column}`, () => {
    expect(() => JSON.parse(text)).toThrow();
    expect(findJsonError(text)).toEqual({ line, column });
  });
}

test("what the real parser accepts has no error", () => {
  const good = ["{}", "[]", ' {"a":[1,-2.5e+3,true,null,"\\u00e9\\n",{"b":[]}]}\r\n', '"x"', "0"];
  expect(good.map((text) => (JSON.parse(text), findJsonError(text)))).toEqual(
    good.map(() => undefined),
  );
});
