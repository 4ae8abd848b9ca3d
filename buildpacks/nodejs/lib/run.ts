import { BuildFailure } from "./build-failure.ts";
import { explainFailure } from "./explain-failure.ts";
import { createIndenter } from "./output.ts";

export type Environment = Record<string, string | undefined>;

const keptOutputBytes = 256 * 1024;
/** How long output is still waited for when the program has ended. */
const lateOutputMs = 1000;

/**
 * The shell joins the two outputs into one pipe, so that their lines stay in order. And it leaves
 * some of the processes that a build may have (1024) to this one: a program that forks without end
 * would else bring down what must tell of it. Dash and bash call that limit by different letters.
 */
const start = '{ ulimit -u 900 || ulimit -p 900; } 2>/dev/null; exec "$@" 2>&1';

/** Runs a program of the build in `cwd`, shows what it prints, and fails the build when it fails. */
export async function run(
  argv: string[],
  { cwd, env, what = argv.join(" ") }: { cwd: string; env: Environment; what?: string },
): Promise<void> {
  const child = Bun.spawn(["/bin/sh", "-c", start, "sh", ...argv], {
    cwd,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });

  let kept = "";
  const decoder = new TextDecoder();
  const { indentChunk, end } = createIndenter((chunk) => process.stdout.write(chunk));
  const reader = child.stdout.getReader();
  // What the program has left running in the background may hold the pipe for ever.
  void child.exited.then(() => setTimeout(() => void reader.cancel(), lateOutputMs).unref());
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    indentChunk(read.value);
    kept = (kept + decoder.decode(read.value, { stream: true })).slice(-keptOutputBytes);
  }

  end();

  const status = await child.exited;
  if (status === 0) return;
  const how = child.signalCode
    ? `was ended by ${child.signalCode}`
    : `failed with status ${status}`;
  throw new BuildFailure([`\`${what}\` ${how}.`, ...explainFailure(kept)].join("\n"));
}
