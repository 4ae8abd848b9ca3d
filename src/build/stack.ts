import { exec } from "../lib/exec.ts";

/**
 * The Heroku stack whose archives this machine's C library can carry: heroku-24 is built on
 * glibc 2.39, heroku-22 on 2.35. A machine without glibc carries none of them, and gets the latest name.
 */
export async function hostStack(): Promise<string> {
  const version = (await exec(["getconf", "GNU_LIBC_VERSION"])).stdout;
  const minor = /^glibc 2\.(\d+)/.exec(version)?.[1];
  return minor === undefined || Number(minor) >= 39 ? "heroku-24" : "heroku-22";
}

/** `Heroku-24`, as in the output of a build. */
export function stackTitle(stack: string): string {
  return stack.charAt(0).toUpperCase() + stack.slice(1);
}
