import { timingSafeEqual } from "node:crypto";
import type { Vault } from "../model/vault.ts";

/** A word in an address that is the permission to use it: who has it was given it by us. */
export function signLink(vault: Vault, ...parts: string[]): string {
  return vault.sign(parts.join(" "));
}

export function isSigned(vault: Vault, signature: string, ...parts: string[]): boolean {
  const expected = signLink(vault, ...parts);
  return (
    signature.length === expected.length &&
    timingSafeEqual(Buffer.from(signature), Buffer.from(expected))
  );
}
