import { createInterface } from "node:readline";
import { CommandFailure } from "./failures.ts";
import type { World } from "./world.ts";

/** Asks that a word be typed before something is lost for good; a pipe may type it too. */
export async function confirm(
  world: World,
  { word, given, warning }: { word: string; given: string | undefined; warning: string },
): Promise<void> {
  if (given === undefined)
    world.err(
      ` ▸    WARNING: ${warning}\n ▸    To proceed, type ${word} or re-run this command with --confirm ${word}\n\n> `,
    );
  const typed = given ?? (await readLine());
  if (typed !== word)
    throw new CommandFailure(
      `Confirmation ${JSON.stringify(typed)} did not match ${word}. Aborted.\nTo confirm: --confirm ${word}`,
    );
}

/** The lines of a pipe: there may be several questions, and all answers may come at once. */
let piped: AsyncIterator<string> | undefined;

/** The next line of standard input, or what there is of it. */
export async function readLine(): Promise<string> {
  const { stdin } = process;
  if (!stdin.isTTY) piped ??= createInterface({ input: stdin })[Symbol.asyncIterator]();
  if (piped) {
    const { value, done } = await piped.next();
    return done ? "" : value.trim();
  }
  return new Promise((resolve) => {
    const lines = createInterface({ input: stdin });
    lines.once("line", (line) => {
      resolve(line.trim());
      lines.close();
    });
    lines.once("close", () => resolve(""));
  });
}
