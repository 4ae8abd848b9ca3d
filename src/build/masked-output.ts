import type { ConfigVars } from "../model/config-vars.ts";
import type { BuildOutput } from "./output.ts";

/** Shorter values are too common as a part of other words. */
const minSecretBytes = 8;
const mask = Buffer.from("[MASKED]");

/** The values that are not shown, longest first; of those with several lines each long line too, since output is moved in. */
export function secretsOf(config: ConfigVars): Buffer[] {
  const texts = Object.values(config).flatMap((value) => [value, ...value.split(/\r?\n/)]);
  const long = [...new Set(texts)].map((text) => Buffer.from(text));
  return long
    .filter(({ length }) => length >= minSecretBytes)
    .toSorted((one, other) => other.length - one.length);
}

/**
 * Passes output on with `[MASKED]` in the place of each secret, also where it comes in pieces: what may
 * become one is held back until the next piece, or `end`.
 */
export function maskedOutput(
  output: BuildOutput,
  secrets: Buffer[],
): BuildOutput & { end(): Promise<void> } {
  let held: Buffer = Buffer.alloc(0);
  return {
    async write(bytes) {
      const data = Buffer.concat([held, Buffer.from(bytes as Uint8Array)]);
      const { passed, rest } = takeMasked(data, secrets);
      held = rest;
      if (passed.length > 0) await output.write(passed);
    },
    async end() {
      const rest = held;
      held = Buffer.alloc(0);
      if (rest.length > 0) await output.write(rest);
    },
  };
}

/** The same for a text that is whole. */
export function maskedText(text: string, secrets: Buffer[]): string {
  const { passed, rest } = takeMasked(Buffer.from(text), secrets);
  return Buffer.concat([passed, rest]).toString();
}

/** What can go out, and the end that may be the beginning of a secret. Pure. */
function takeMasked(data: Buffer, secrets: Buffer[]): { passed: Buffer; rest: Buffer } {
  const parts: Buffer[] = [];
  let start = 0;
  for (;;) {
    let next = { at: data.length, length: 0 };
    for (const secret of secrets) {
      const at = data.indexOf(secret, start);
      // At the same place the longest wins, which comes first.
      if (at >= 0 && at < next.at) next = { at, length: secret.length };
    }
    if (next.length === 0) break;
    parts.push(data.subarray(start, next.at), mask);
    start = next.at + next.length;
  }
  const tail = data.subarray(start);
  const held = longestBeginning(tail, secrets);
  parts.push(tail.subarray(0, tail.length - held));
  return { passed: Buffer.concat(parts), rest: Buffer.from(tail.subarray(tail.length - held)) };
}

function longestBeginning(tail: Buffer, secrets: Buffer[]): number {
  const longest = Math.min(tail.length, Math.max(0, (secrets[0]?.length ?? 0) - 1));
  for (let length = longest; length > 0; length--) {
    const end = tail.subarray(tail.length - length);
    if (secrets.some((secret) => secret.length > length && secret.subarray(0, length).equals(end)))
      return length;
  }
  return 0;
}
