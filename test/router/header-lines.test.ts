import { expect, test } from "bun:test";
import {
  asHyphenated,
  type Header,
  HeaderLines,
  known,
  linesOf,
  readLines,
} from "../../src/router/header-lines.ts";
import { Outgoing } from "../../src/router/outgoing.ts";

function read(text: string, maxLineBytes = 8_192) {
  const bytes = Buffer.from(`GET\r\n${text}\r\n\r\nbody`, "latin1");
  return readLines(bytes, 5, 5 + text.length, maxLineBytes);
}

function good(text: string): HeaderLines {
  const lines = read(text);
  if (typeof lines === "string") throw new Error(lines);
  return lines;
}

/** The same rules, told once more in the plainest way. */
function readPlainly(text: string): Header[] | "bad" {
  if (text === "") return [];
  const headers: Header[] = [];
  for (const line of text.split("\r\n")) {
    const [, name, value] =
      /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,1000}):([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined || line.length > 8_192) return "bad";
    headers.push({
      name,
      key: name.toLowerCase(),
      value: value.replace(/^[ \t]+|[ \t]+$/g, ""),
    });
  }
  return headers;
}

test("lines of chance are read as the plainest reading of the rules does", () => {
  const parts = [
    ...["Host", "x-forwarded-for", "X_Forwarded_For", "content-length", "A", "é", "~", "_", "-"],
    ...[
      ":",
      ": ",
      ":\t",
      " :",
      " ",
      "\t",
      "\r\n",
      "\r\n",
      "\r\n",
      "\r",
      "\n",
      "\0",
      "\x7f",
      "\xa0",
    ],
    ...["value", "a b", "\xff", ",", "5", '"', "\r\n ", ":\r\n"],
  ];
  const pick = () => parts[Math.floor(Math.random() * parts.length)]!;
  let whole = 0;
  for (let round = 0; round < 60_000; round++) {
    let text = "";
    for (let times = Math.random() * 9; times > 0; times--) text += pick();
    // The end of a head is found before its lines are read.
    if (text.includes("\r\n\r\n") || text.endsWith("\r\n") || text.endsWith("\r")) continue;
    if (text.startsWith("\r\n")) continue;
    const lines = read(text);
    const expected = readPlainly(text);
    expect([text, typeof lines === "string" ? "bad" : lines.list()]).toEqual([text, expected]);
    if (expected !== "bad" && expected.length > 0) whole++;
  }
  expect(whole).toBeGreaterThan(500);
});

test("known names are known in any case, and what CGI would take for them is told apart", () => {
  const lines = good("HOST: a\r\nX_Forwarded-for: b\r\nx-unknown: c\r\nContent-Lengt: 1\r\nhos: 1");
  expect(Array.from({ length: 5 }, (_, index) => lines.kind(index) === known.host)).toEqual([
    ...[true, false, false, false, false],
  ]);
  expect(lines.kind(1)).not.toBe(known["x-forwarded-for"]);
  expect(asHyphenated(lines.kind(1))).toBe(known["x-forwarded-for"]);
  expect([2, 3, 4].map((index) => lines.kind(index))).toEqual([0, 0, 0]);
  expect(lines.has(known["x-forwarded-for"])).toBe(false);
  expect([lines.only(known.host), lines.only(known.via)]).toEqual([0, -1]);
});

test("values come in their order; one of several is nobody's only one", () => {
  const lines = good("Via: a\r\nX: 1\r\nvia:b\t\r\nVIA:");
  expect(lines.values(known.via)).toEqual(["a", "b", ""]);
  expect(lines.only(known.via)).toBe(-2);
});

test("a line that Connection names is of the connection; keep-alive and close name none", () => {
  const named = good("Connection: X-One , close\r\nx-one: 1\r\nX-Two: 2");
  expect([1, 2].map((index) => named.isOfConnection(index))).toEqual([true, false]);
  const habit = good("Connection: Keep-Alive\r\nKeep-Alive: 5\r\nX: 1");
  expect([1, 2].map((index) => habit.isOfConnection(index))).toEqual([false, false]);
  expect([...habit.connectionWords]).toEqual(["keep-alive"]);
});

test("numbers are digits and nothing else", () => {
  const of = (value: string) => good(`Content-Length: ${value}`).decimal(0);
  expect([of("0"), of("05"), of("123456789012345")]).toEqual([0, 5, 123_456_789_012_345]);
  for (const bad of ["", "-1", "+1", "1 0", "0x1", "1e1", "1234567890123456", "\xb2", "1,1"])
    expect([bad, of(bad)]).toEqual([bad, -1]);
});

test("a line goes on with one blank after its colon, however it came", () => {
  const lines = good("A: 1\r\nB:2\r\nC:  3 \t\r\nD:");
  const out = new Outgoing();
  for (let index = 0; index < lines.count; index++) out.line(lines, index);
  expect(out.take(0).toString()).toBe("A: 1\r\nB: 2\r\nC: 3\r\nD: \r\n");
});

test("limits: the length of a line and of a name, the number of lines", () => {
  expect(read(`X: ${"x".repeat(8_189)}`)).toBeInstanceOf(HeaderLines);
  expect(read(`X: ${"x".repeat(8_190)}`)).toBe("header line too long");
  expect(read(`X: ${"x".repeat(8_190)}\0`)).toBe("header line too long");
  expect(read(`${"x".repeat(1_000)}:`)).toBeInstanceOf(HeaderLines);
  expect(read(`${"x".repeat(1_001)}:`)).toBe("bad header name");
  const many = (count: number) => Array.from({ length: count }, () => "X: 1").join("\r\n");
  expect(read(many(1_000))).toBeInstanceOf(HeaderLines);
  expect(read(many(1_001))).toBe("too many headers");
});

test("texts that would be read as other lines are refused", () => {
  expect(linesOf([{ name: "X", value: "1" }])).toBeInstanceOf(HeaderLines);
  for (const bad of [
    { name: "X", value: "1\r\nHost: evil" },
    { name: "X: 1\r\nHost", value: "evil" },
    { name: "X ", value: "1" },
    { name: "", value: "1" },
    { name: "X", value: "1\0" },
  ])
    expect(linesOf([bad])).toStartWith("bad header");
});
