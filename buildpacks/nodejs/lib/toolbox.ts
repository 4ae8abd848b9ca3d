import type { Environment } from "./run.ts";

/** Calls the platform's toolbox; what it says on the way is shown. Undefined when it has failed. */
export async function toolbox(args: string[], platform: Environment): Promise<string | undefined> {
  const child = Bun.spawn(["toolbox", ...args], {
    env: platform,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const answer = new Response(child.stdout).text();
  for await (const chunk of child.stderr) process.stdout.write(chunk);
  return (await child.exited) === 0 ? (await answer).trim() : undefined;
}
