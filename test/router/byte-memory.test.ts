import { expect, test } from "bun:test";
import { ByteMemory } from "../../src/router/byte-memory.ts";

test("what a memory has found belongs to the very same bytes", () => {
  const asked: string[] = [];
  const memory = new ByteMemory((text) => {
    asked.push(text);
    return text.startsWith("-") ? undefined : `found ${text}`;
  });
  const find = (text: string) => memory.find(Buffer.from(`<${text}>`), 1, 1 + text.length);
  const texts = Array.from({ length: 3_000 }, (_, index) => `host-${index}`);
  for (const text of [...texts, ...texts.toReversed(), "-", "-", "x".repeat(500)])
    expect(find(text)).toBe(text.startsWith("-") ? undefined : `found ${text}`);
  asked.length = 0;
  find("again");
  find("again");
  expect(asked).toEqual(["again"]);
});
