import { expect, test } from "bun:test";
import { readSecrets, takeSecrets } from "../../src/lib/address-secrets.ts";

test("user, password and query are taken out of an address, and come back as they were meant", () => {
  const rows: [address: string, plain: string, credentials: string | undefined, query: string][] = [
    ["https://h/p", "https://h/p", undefined, ""],
    ["https://t0ken@h/p#ref", "https://h/p#ref", "t0ken:", ""],
    ["https://u:p%40%3A%3Fss@h/p", "https://h/p", "u:p@:?ss", ""],
    ["https://h/x.tgz?X-Signature=a:b?c", "https://h/x.tgz", undefined, "?X-Signature=a:b?c"],
    ["https://u:p@h/x.tgz?s=1", "https://h/x.tgz", "u:p", "?s=1"],
  ];
  for (const [address, plain, credentials, query] of rows) {
    const url = new URL(address);
    const secrets = takeSecrets(url);
    expect(url.href).toBe(plain);
    expect(readSecrets(secrets)).toEqual({ credentials, query });
  }
  expect(takeSecrets(new URL("https://h/p"))).toBeNull();
});
