import { closeSync } from "node:fs";
import { join } from "node:path";
import { type Argv, spawn } from "../lib/exec.ts";
import { drain, openPipe } from "../lib/named-pipe.ts";
import type { AttachedContainer, TerminalSize } from "./runtime.ts";

type Output = (bytes: Uint8Array) => void | Promise<void>;

interface AttachOptions {
  output: Output;
  /** Where pipes are made. */
  folder: string;
}

/** Runs a program with its streams in the caller's hands: a terminal, or pipes. */
export function attachTo(
  argv: Argv,
  terminal: TerminalSize | null,
  options: AttachOptions,
): AttachedContainer {
  return terminal ? attachTerminal(argv, { ...options, terminal }) : attachPipes(argv, options);
}

function attachPipes(argv: Argv, { output, folder }: AttachOptions): AttachedContainer {
  const input = openPipe(join(folder, "stdin"), "reads");
  const outputs = ["stdout", "stderr"].map((name) => openPipe(join(folder, name), "writes"));
  const programs = [input.readEnd, ...outputs.map(({ writeEnd }) => writeEnd)];
  const child = spawn(argv, { stdio: programs, detached: true } as never);
  for (const end of programs) closeSync(end);
  const drained = Promise.all(outputs.map(({ readEnd }) => drain(readEnd, output)));
  const sink = Bun.file(input.writeEnd).writer();
  const endInput = onlyOnce(async () => {
    await Promise.resolve(sink.end()).catch(() => {});
    closeSync(input.writeEnd);
  });
  return {
    exited: drained.then(async () => {
      await endInput();
      return child.exited;
    }),
    async write(bytes) {
      await sink.write(bytes);
      await sink.flush();
    },
    endInput: () => void endInput(),
    resize: () => {},
  };
}

function onlyOnce(task: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= task());
}

const endOfTransmission = new Uint8Array([4]);

function attachTerminal(
  argv: Argv,
  options: AttachOptions & { terminal: TerminalSize },
): AttachedContainer {
  const child = spawn(argv, {
    terminal: {
      cols: options.terminal.columns,
      rows: options.terminal.lines,
      // The terminal's buffer is used again.
      data: (_: unknown, bytes: Uint8Array) => void options.output(bytes.slice()),
    },
  } as never) as unknown as {
    exited: Promise<number>;
    terminal: {
      write(bytes: Uint8Array): void;
      resize(columns: number, lines: number): void;
      close(): void;
    };
  };
  return {
    exited: child.exited.finally(() => child.terminal.close()),
    write: (bytes) => child.terminal.write(bytes),
    endInput: () => child.terminal.write(endOfTransmission),
    resize: ({ columns, lines }) => child.terminal.resize(columns, lines),
  };
}
