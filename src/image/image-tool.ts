import { asUser } from "../lib/as-user.ts";
import { type Argv, hostEnvironment, spawn } from "../lib/exec.ts";
import { assertRoom, type ImageJob } from "./image-job.ts";

/** `skopeo` or `umoci` has said why it could not. */
export class ToolFailure extends Error {}

interface ToolOptions {
  /** Whose rights it has; the job's user's, when left out. */
  userId?: number;
  /** Hears each line of its output. */
  onLine?: (line: string) => void;
  /** Throws when it has gone too far; asked twice a second. */
  watch?: () => void;
}

/** How often a tool that fills the disk is looked at. */
const lookEveryMs = 500;

/** Runs one of the tools for images to its end; returns what it said. Throws ToolFailure, or what the watch threw. */
export async function runTool(
  argv: Argv,
  job: ImageJob,
  { userId = job.userId, onLine, watch }: ToolOptions = {},
): Promise<string> {
  const child = spawn<"ignore", "pipe", "pipe">(asUser(userId, argv), {
    env: { ...hostEnvironment, ...job.environment, HOME: job.work, TMPDIR: job.work },
    stdout: "pipe",
    stderr: "pipe",
  });
  let refused: Error | undefined;
  const look = setInterval(() => {
    try {
      assertRoom(job);
      watch?.();
    } catch (error) {
      refused ??= error as Error;
      child.kill("SIGKILL");
    }
  }, lookEveryMs);
  try {
    const [said, problem] = await Promise.all([
      readLines(child.stdout, onLine),
      readLines(child.stderr),
    ]);
    const status = await child.exited;
    if (refused) throw refused;
    if (status !== 0)
      throw new ToolFailure(reasonOf(problem || said) || `${argv[0]} ended with ${status}`);
    return said;
  } finally {
    clearInterval(look);
    child.kill("SIGKILL");
  }
}

/** One of them may say as much as it likes; so much of it counts. */
const maxSaidChars = 8 * 1024 * 1024;

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine?: (line: string) => void,
): Promise<string> {
  let said = "";
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const text = decoder.decode(bytes, { stream: true });
    if (said.length < maxSaidChars) said += text;
    const lines = (rest + text).split("\n");
    rest = (lines.pop() ?? "").slice(-10_000);
    for (const line of lines) onLine?.(line);
  }
  return said;
}

/** What they say last, without the marks of their logs. Pure. */
export function reasonOf(said: string): string {
  const last = said.trim().split("\n").at(-1) ?? "";
  const message = /\bmsg="((?:[^"\\]|\\.)*)"/.exec(last)?.[1]?.replaceAll(/\\(.)/g, "$1");
  return (message ?? last.replace(/^\s*⨯\s*/, ""))
    .replace(/^Error parsing image name "[^"]*": /, "")
    .slice(0, 1000);
}
