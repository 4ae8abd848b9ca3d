import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openVault } from "../../src/model/vault.ts";

const folder = mkdtempSync(join(tmpdir(), "stator-vault-"));
afterAll(() => rmSync(folder, { recursive: true }));
const vault = openVault(join(folder, "key"));

test("what is sealed is opened again, by a later start too", () => {
  const vars = { A: "1", Ü: "😀\n", EMPTY: "" };
  const sealed = vault.seal(vars);
  expect(vault.open(sealed)).toEqual(vars);
  expect(openVault(join(folder, "key")).open(sealed)).toEqual(vars);
});

test("the key is 32 bytes that only its owner reads, and nothing else is left of its making", () => {
  expect(statSync(join(folder, "key")).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(folder, "key"))).toHaveLength(32);
  expect(readdirSync(folder)).toEqual(["key"]);
});

test("sealing twice gives different bytes, and none of the text", () => {
  const [one, other] = [vault.seal({ A: "plain-text" }), vault.seal({ A: "plain-text" })];
  expect(Buffer.from(one).equals(Buffer.from(other))).toBe(false);
  expect(Buffer.from(one).includes("plain-text")).toBe(false);
});

test("a changed byte anywhere is refused", () => {
  const sealed = vault.seal({ A: "1" });
  for (let index = 0; index < sealed.length; index++) {
    const changed = Uint8Array.from(sealed);
    changed[index] = (changed[index] as number) ^ 1;
    expect(() => vault.open(changed)).toThrow();
  }
  expect(() => vault.open(new Uint8Array())).toThrow();
});

test("another key opens nothing, and a key of another length is told", () => {
  const other = openVault(join(folder, "other-key"));
  expect(() => other.open(vault.seal({ A: "1" }))).toThrow();
  writeFileSync(join(folder, "short"), "short");
  expect(() => openVault(join(folder, "short"))).toThrow("is not a key of 32 bytes");
});
