import { type Argv, spawn } from "../lib/exec.ts";
import type { AttachedContainer, TerminalSize } from "./runtime.ts";

/** Takes output; the next comes when this is taken. */
export type Output = (bytes: Uint8Array) => void | Promise<void>;

/** `processEnded` comes before `exited`, which waits for the output. */
export type AttachedProcess = AttachedContainer & { processEnded: Promise<unknown> };

const endOfTransmission = new Uint8Array([4]);

/**
 * Runs a program in a terminal of its own, with its streams in the caller's hands. One that only
 * relays to the terminal of another needs it raw from the first byte on: what comes before it says so
 * itself would be echoed twice, and the byte of the end be none.
 */
export function attachTerminal(
  argv: Argv,
  options: { output: Output; terminal: TerminalSize; relays?: boolean | undefined },
): AttachedProcess {
  const child = spawn(argv, {
    terminal: {
      cols: options.terminal.columns,
      rows: options.terminal.lines,
      // The terminal's buffer is used again.
      data: (_: unknown, bytes: Uint8Array) => void options.output(bytes.slice()),
    },
  } as never) as unknown as {
    exited: Promise<number>;
    kill(signal: "SIGHUP"): void;
    terminal: {
      write(bytes: Uint8Array): void;
      setRawMode(raw: boolean): void;
      resize(columns: number, lines: number): void;
      close(): void;
    };
  };
  if (options.relays) child.terminal.setRawMode(true);
  let open = true;
  const whileOpen = (act: () => void) => {
    if (open) act();
  };
  return {
    processEnded: child.exited,
    exited: child.exited.finally(() => {
      open = false;
      child.terminal.close();
    }),
    write: (bytes) => whileOpen(() => child.terminal.write(bytes)),
    endInput: () => whileOpen(() => child.terminal.write(endOfTransmission)),
    resize: ({ columns, lines }) => whileOpen(() => child.terminal.resize(columns, lines)),
    hangUp: () => child.kill("SIGHUP"),
  };
}
