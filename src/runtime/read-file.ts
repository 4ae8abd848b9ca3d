import { readFileSync } from "node:fs";

/** The number that a file begins with; nothing when there is none. */
export function readNumber(path: string): number | undefined {
  try {
    const number = Number.parseInt(readFileSync(path, "utf8"), 10);
    return Number.isNaN(number) ? undefined : number;
  } catch {
    return undefined;
  }
}

/** A file's text; nothing of one that is not there. */
export function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
