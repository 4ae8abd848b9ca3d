import { type CliSettings, readCliSettings } from "../settings.ts";

/** What a command sees of the machine that it runs on. */
export interface World {
  settings: CliSettings;
  cwd: string;
  /** Standard output: what was asked for. */
  out: (text: string) => void;
  /** Standard error: what happens meanwhile. */
  err: (text: string) => void;
  /** Resolves when all of it is out: a process that ends earlier would cut it off. */
  flush: () => Promise<void>;
}

export function realWorld(): World {
  return {
    settings: readCliSettings(),
    cwd: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    flush: () => new Promise((resolve) => process.stdout.write("", () => resolve())),
  };
}
