import { type CliSettings, readCliSettings } from "../settings/cli-settings.ts";

/** What a command sees of the machine that it runs on. */
export interface World {
  settings: CliSettings;
  cwd: string;
  /** Standard output: what was asked for. */
  out: (text: string) => void;
  /** Standard error: what happens meanwhile. */
  err: (text: string) => void;
  /** How wide the terminal is that standard error goes to; nothing for a pipe, or one that only prints. */
  errColumns: () => number | undefined;
  /** Resolves when all of it is out: a process that ends earlier would cut it off. */
  flush: () => Promise<void>;
}

export function realWorld(): World {
  process.stdout.on("error", endWithoutReader);
  const settings = readCliSettings();
  return {
    settings,
    cwd: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    errColumns: () =>
      process.stderr.isTTY && settings.terminal.term !== "dumb"
        ? process.stderr.columns
        : undefined,
    flush: () => new Promise((resolve) => process.stdout.write("", () => setImmediate(resolve))),
  };
}

/** Nobody reads on (as after `| head`), which is no fault; or what was asked for cannot be written. */
function endWithoutReader(error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(` ▸    The answer cannot be written: ${error.message}\n`);
  process.exit(1);
}
