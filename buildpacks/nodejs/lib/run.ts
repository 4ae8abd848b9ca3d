import { BuildFailure } from "./build-failure.ts";
import { explainFailure } from "./explain-failure.ts";
import { createIndenter } from "./output.ts";

export type Environment = Record<string, string | undefined>;

const keptOutputBytes = 256 * 1024;

/** Runs a program of the build in `cwd`, shows what it prints, and fails the build when it fails. */
export async function run(
  argv: string[],
  { cwd, env, what = argv.join(" ") }: { cwd: string; env: Environment; what?: string },
): Promise<void> {
  // The shell only joins the two outputs into one pipe, so that their lines stay in order.
  const child = Bun.spawn(["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", ...argv], {
    cwd,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });

  let kept = "";
  const decoder = new TextDecoder();
  const { indentChunk, end } = createIndenter((chunk) => process.stdout.write(chunk));
  for await (const chunk of child.stdout) {
    indentChunk(chunk);
    kept = (kept + decoder.decode(chunk, { stream: true })).slice(-keptOutputBytes);
  }

  end();

  const status = await child.exited;
  if (status === 0) return;
  const how = child.signalCode
    ? `was ended by ${child.signalCode}`
    : `failed with status ${status}`;
  throw new BuildFailure([`\`${what}\` ${how}.`, ...explainFailure(kept)].join("\n"));
}
