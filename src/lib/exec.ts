/**
 * The only place that starts a process. A command is always an argv array; nothing here, and
 * nothing above, ever builds a shell string.
 */
export type Argv = readonly [program: string, ...args: string[]];

export interface ExecOptions {
  cwd?: string;
  /** The whole environment of the process; the server's own is never handed on. */
  env?: Record<string, string>;
  stdin?: string | Uint8Array;
  signal?: AbortSignal;
}

export interface ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** What host tools get: a search path and plain messages, and nothing of the server's environment. */
export const hostEnvironment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C.UTF-8",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
};

/** Runs a command to its end and returns what it said, whatever its exit code. */
export async function exec(argv: Argv, options: ExecOptions = {}): Promise<ExecResult> {
  const child = Bun.spawn([...argv], {
    cwd: options.cwd ?? "/",
    env: options.env ?? hostEnvironment,
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin as BlobPart]),
    stdout: "pipe",
    stderr: "pipe",
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

/** Runs a command that must succeed; returns its standard output, or throws what it said. */
export async function execOk(argv: Argv, options: ExecOptions = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await exec(argv, options);
  if (exitCode !== 0)
    throw new Error(`${argv.join(" ")} ended with ${exitCode}: ${(stderr || stdout).trim()}`);
  return stdout;
}

/** Runs a command that takes no time, while everything else waits; returns its standard output. */
export function execNow(argv: Argv): string {
  return Bun.spawnSync([...argv], { cwd: "/", env: hostEnvironment }).stdout.toString();
}

/** Starts a long-running command; the caller owns its streams and its end. */
export function spawn<
  const In extends Bun.Spawn.Writable = "ignore",
  const Out extends Bun.Spawn.Readable = "pipe",
  const Err extends Bun.Spawn.Readable = "pipe",
>(
  argv: Argv,
  options: Omit<Bun.Spawn.OptionsObject<In, Out, Err>, "env"> & {
    env?: Record<string, string>;
  } = {},
) {
  return Bun.spawn<In, Out, Err>([...argv], {
    cwd: "/",
    ...options,
    env: options.env ?? hostEnvironment,
  } as never);
}
