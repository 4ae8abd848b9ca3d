import { closeSync, fchownSync } from "node:fs";
import { join } from "node:path";
import { type Argv, spawn } from "../lib/exec.ts";
import { drain, openPipe } from "../lib/named-pipe.ts";
import { type AttachedProcess, attachTerminal, type Output } from "./attach-terminal.ts";
import type { TerminalSize } from "./runtime.ts";

interface AttachOptions {
  output: Output;
  /** Where pipes are made. */
  folder: string;
  /** Both outputs by one pipe, in their order. */
  joined?: boolean | undefined;
  /** It hands its terminal on to another program's. */
  relays?: boolean | undefined;
  /** Whose they are: who may open them again, as `/dev/stdout`. This process's user when left out. */
  ownerId?: number;
}

/** Runs a program with its streams in the caller's hands: a terminal, or pipes. */
export function attachTo(
  argv: Argv,
  terminal: TerminalSize | null,
  options: AttachOptions,
): AttachedProcess {
  return terminal ? attachTerminal(argv, { ...options, terminal }) : attachPipes(argv, options);
}

function attachPipes(
  argv: Argv,
  { output, folder, ownerId, joined }: AttachOptions,
): AttachedProcess {
  const input = openPipe(join(folder, "stdin"), "reads");
  const names = joined ? ["output"] : ["stdout", "stderr"];
  const outputs = names.map((name) => openPipe(join(folder, name), "writes"));
  const programs = [input.readEnd, ...outputs.map(({ writeEnd }) => writeEnd)];
  if (ownerId !== undefined) for (const end of programs) fchownSync(end, ownerId, ownerId);
  const child = spawn(argv, {
    stdio: [...programs, ...(joined ? programs.slice(1) : [])],
    detached: true,
  } as never);
  for (const end of programs) closeSync(end);
  const drained = Promise.all(outputs.map(({ readEnd }) => drain(readEnd, output)));
  const sink = Bun.file(input.writeEnd).writer();
  const endInput = onlyOnce(async () => {
    await Promise.resolve(sink.end()).catch(() => {});
    closeSync(input.writeEnd);
  });
  return {
    processEnded: child.exited,
    exited: drained.then(async () => {
      await endInput();
      return child.exited;
    }),
    async write(bytes) {
      try {
        await sink.write(bytes);
        await sink.flush();
      } catch (error) {
        // It reads no more, or has ended: what it did not want is dropped.
        if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
      }
    },
    endInput: () => void endInput(),
    resize: () => {},
    hangUp: () => child.kill("SIGHUP"),
  };
}

function onlyOnce(task: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= task());
}
