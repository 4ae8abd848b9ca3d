import { createHash } from "node:crypto";

/** A UUID for what has no id of its own but needs one in Heroku's shapes: always the same for the same name. */
export function stableId(...name: string[]): string {
  const bytes = createHash("sha256").update(name.join("\0")).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
