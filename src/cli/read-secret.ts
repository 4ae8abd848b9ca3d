import { readLine } from "./confirm.ts";
import { CommandFailure } from "./failures.ts";
import type { World } from "./world.ts";

/** Asks for a secret without showing it; from a pipe it takes the first line. */
export function readSecret(world: World, question: string): Promise<string> {
  const { stdin } = process;
  if (!stdin.isTTY) return readLine();
  // Before anybody is asked: who is quick would see what he types.
  stdin.setRawMode(true);
  world.err(question);
  stdin.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    let typed = "";
    const done = (finish: () => void) => {
      stdin.off("data", onData);
      stdin.setRawMode(false);
      stdin.pause();
      world.err("\n");
      finish();
    };
    const onData = (text: string) => {
      for (const character of text) {
        if (character === "\r" || character === "\n" || character === "\u0004")
          return done(() => resolve(typed.trim()));
        if (character === "\u0003") return done(() => reject(new CommandFailure("Cancelled.")));
        if (character === "\u007f" || character === "\b") typed = typed.slice(0, -1);
        else typed += character;
      }
    };
    stdin.on("data", onData);
    stdin.resume();
  });
}
