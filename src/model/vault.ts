import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from "node:fs";

/** Seals maps of config vars with AES-256-GCM; the key never enters the database. */
export interface Vault {
  seal(vars: Record<string, string>): Uint8Array;
  open(sealed: Uint8Array): Record<string, string>;
  /** A word for a thing that only this key makes: who shows it was given it by us. */
  sign(text: string): string;
}

const nonceLength = 12;
const tagLength = 16;

/** Opens the key file (32 bytes, mode 0600), making it at the first start. */
export function openVault(keyPath: string): Vault {
  const key = readKey(keyPath) ?? createKey(keyPath);
  if (key.length !== 32)
    throw new Error(`${keyPath} is not a key of 32 bytes; put the right key file back`);
  return {
    seal(vars) {
      const nonce = randomBytes(nonceLength);
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      const body = Buffer.concat([cipher.update(JSON.stringify(vars)), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]);
    },
    open(sealed) {
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, nonceLength));
      decipher.setAuthTag(sealed.subarray(nonceLength, nonceLength + tagLength));
      const body = Buffer.concat([
        decipher.update(sealed.subarray(nonceLength + tagLength)),
        decipher.final(),
      ]);
      return JSON.parse(body.toString("utf8")) as Record<string, string>;
    },
    sign: (text) => createHmac("sha256", key).update(`signed ${text}`).digest("base64url"),
  };
}

function readKey(keyPath: string): Buffer | undefined {
  try {
    return readFileSync(keyPath);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Written whole under another name first: a crash leaves no half key. */
function createKey(keyPath: string): Buffer {
  const key = randomBytes(32);
  const temporary = `${keyPath}.${process.pid}`;
  const file = openSync(temporary, "w", 0o600);
  writeSync(file, key);
  fsyncSync(file);
  closeSync(file);
  linkSync(temporary, keyPath);
  unlinkSync(temporary);
  return key;
}
