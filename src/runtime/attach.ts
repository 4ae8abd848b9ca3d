import { type Argv, spawn } from "../lib/exec.ts";
import type { AttachedContainer, TerminalSize } from "./runtime.ts";

type Output = (bytes: Uint8Array) => void | Promise<void>;

/** Runs a program with its streams in the caller's hands: a terminal, or pipes. */
export function attachTo(
  argv: Argv,
  terminal: TerminalSize | null,
  { output }: { output: Output },
): AttachedContainer {
  return terminal ? attachTerminal(argv, { output, terminal }) : attachPipes(argv, output);
}

function attachPipes(argv: Argv, output: Output): AttachedContainer {
  const child = spawn<"pipe", "pipe", "pipe">(argv, {
    ...{ stdin: "pipe", stdout: "pipe", stderr: "pipe" },
    detached: true,
  } as never);
  const drained = Promise.all([drain(child.stdout, output), drain(child.stderr, output)]);
  return {
    exited: drained.then(() => child.exited),
    async write(bytes) {
      await child.stdin.write(bytes);
      await child.stdin.flush();
    },
    endInput: () => void child.stdin.end(),
    resize: () => {},
  };
}

async function drain(stream: ReadableStream<Uint8Array>, output: Output): Promise<void> {
  for await (const bytes of stream) await output(bytes);
}

const endOfTransmission = new Uint8Array([4]);

function attachTerminal(
  argv: Argv,
  options: { output: Output; terminal: TerminalSize },
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
