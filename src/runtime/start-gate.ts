import { existsSync } from "node:fs";
import type { Output } from "./attach-terminal.ts";
import type { AttachedContainer } from "./runtime.ts";

/**
 * Tells the words of a program from those of the runtime that could not start it: what comes before
 * the file with the program's pid is there is held, and is a complaint when it never comes.
 */
export function startGate(pidFile: string, output: Output) {
  let ended = false;
  let held = "";
  const started = (async () => {
    while (!ended && !existsSync(pidFile)) await Bun.sleep(3);
    return existsSync(pidFile);
  })();
  return {
    async output(bytes: Uint8Array): Promise<void> {
      if (await started) await output(bytes);
      else held += new TextDecoder().decode(bytes);
    },
    /** The runtime has ended: no pid will come any more. */
    end: () => void (ended = true),
    /** What the runtime complained of; `null`: the program ran. */
    async complaint(): Promise<string | null> {
      return (await started) ? null : held.trim() || "the runtime says nothing";
    },
  };
}

/** An attached program that was never started. */
export function refused(reason: string): AttachedContainer {
  const nothing = () => {};
  return {
    exited: Promise.reject(new Error(reason)),
    ...{ write: nothing, endInput: nothing, resize: nothing, hangUp: nothing },
  };
}
