import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readSecretLine, secretLineBytes, secretWord } from "../../src/lib/secret-line.ts";

const secret = randomBytes(32).toString("base64url");
const line = `${secretWord(secret)}\r\n`;
const kindOf = (text: string) => readSecretLine(Buffer.from(text)).kind;

test("a secret's line is read when it is whole, with what follows it", () => {
  expect(line).toHaveLength(secretLineBytes);
  for (let length = 0; length < line.length; length++)
    expect(kindOf(line.slice(0, length))).toBe("incomplete");
  expect(kindOf(line)).toBe("secret");
  const read = readSecretLine(Buffer.from(`${line}early\n`));
  expect(read).toEqual({ kind: "secret", secret, rest: Buffer.from("early\n") });
});

test("what begins like one and goes on otherwise is bad, as soon as that is sure", () => {
  for (const bad of [
    ...[`${secretWord("short")}\r\n`, `${secretWord(secret)}x\r\n`, `${secretWord(secret)}\n\n`],
    ...[secretWord("x".repeat(5_000)), `${secretWord(`${secret.slice(1)} `)}\r\n`],
    "attach: text/html\r\n\r\n",
  ])
    expect(kindOf(bad)).toBe("bad");
});

test("no request is taken for one", () => {
  for (const text of [
    ...["GET / HTTP/1.1\r\n", "attach /attach:x HTTP/1.1\r\n", "a / HTTP/1.1\r\n", "\r\nGET"],
    ...["ATTACH:", ` ${line}`, "PRI * HTTP/2.0\r\n"],
  ])
    expect(kindOf(text)).toBe("none");
});
