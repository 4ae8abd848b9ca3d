import { isSameSecret } from "../lib/secret.ts";
import type { Vault } from "../model/vault.ts";

/** A word in an address that is the permission to use it: who has it was given it by us. */
export function signLink(vault: Vault, ...parts: string[]): string {
  return vault.sign(parts.join(" "));
}

export function isSigned(vault: Vault, signature: string, ...parts: string[]): boolean {
  return isSameSecret(signature, signLink(vault, ...parts));
}
