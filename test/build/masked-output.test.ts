import { expect, test } from "bun:test";
import { maskedOutput, secretsOf } from "../../src/build/masked-output.ts";

async function masked(pieces: (string | Uint8Array)[], config: Record<string, string>) {
  const chunks: Uint8Array[] = [];
  const output = maskedOutput(
    { write: (bytes) => void chunks.push(Buffer.from(bytes as Uint8Array)) },
    secretsOf(config),
  );
  for (const piece of pieces) await output.write(piece);
  await output.end();
  return Buffer.concat(chunks);
}

test("values of 8 bytes and more are masked, shorter ones are words like others", async () => {
  const text = await masked(["a=12345678 b=1234567\n"], { A: "12345678", B: "1234567" });
  expect(text.toString()).toBe("a=[MASKED] b=1234567\n");
});

test("a secret is masked in whatever pieces it comes", async () => {
  const secret = "sëcret-of-the-house";
  const whole = Buffer.from(`before ${secret}${secret} after sëcret-of\n`);
  const pieces = (size: number) =>
    Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
      whole.subarray(index * size, (index + 1) * size),
    );
  for (let size = 1; size <= whole.length; size++)
    expect((await masked(pieces(size), { SECRET: secret })).toString()).toBe(
      "before [MASKED][MASKED] after sëcret-of\n",
    );
});

test("of secrets within each other the longest is masked, also when its beginning is one", async () => {
  const config = { URL: "https://user:password-1@host", PASSWORD: "password-1", HALF: "password" };
  const text = "to https://user:password-1@host with password-1, a password";
  expect((await masked([text], config)).toString()).toBe("to [MASKED] with [MASKED], a [MASKED]");
});

test("the lines of a key are masked where its output is moved in", async () => {
  const key = "-----BEGIN KEY-----\nMIIabcdefgh\n-----END KEY-----";
  const text = await masked([key.replaceAll(/^/gm, "       ")], { KEY: key });
  expect(text.toString()).toBe("       [MASKED]\n       [MASKED]\n       [MASKED]");
});

test("bytes that are no text pass unharmed", async () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  expect(await masked([bytes], { A: "a secret" })).toEqual(Buffer.from(bytes));
});
