/** Where a build's output goes: the pushing client. `write` waits while the client is slow. */
export interface BuildOutput {
  write(bytes: Uint8Array | string): Promise<void> | void;
}

/** Heroku's ways of saying things in a build (contract §4.2). */
export function buildPrinter(output: BuildOutput) {
  return {
    /** Bytes as they come. */
    raw: output,
    line: (text: string) => output.write(`${text}\n`),
    step: (text: string) => output.write(`-----> ${text}\n`),
    detail: (text: string) => output.write(`       ${text}\n`),
    problem: (text: string) => output.write(` !     ${text}\n`),
  };
}

export type BuildPrinter = ReturnType<typeof buildPrinter>;

/** `43.4M`, `12.0K`: one decimal, as Heroku prints sizes. */
export function printedSize(bytes: number): string {
  const kibibytes = bytes / 1024;
  return kibibytes < 1024 ? `${kibibytes.toFixed(1)}K` : `${(kibibytes / 1024).toFixed(1)}M`;
}

/** Passes on so many bytes, then says once that the rest is not shown. */
export function limitedOutput(output: BuildOutput, maxBytes: number): BuildOutput {
  let left = maxBytes;
  return {
    write(bytes) {
      const data = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
      if (left < 0) return;
      left -= data.length;
      if (left >= 0) return output.write(data);
      const limit = printedSize(maxBytes);
      return output.write(
        `\n !     This step has printed more than ${limit}; the rest of its output is not shown.\n`,
      );
    },
  };
}

/** Keeps the first so many characters of what is written, as text. */
export function keptText(maxLength: number): BuildOutput & { text(): string } {
  const decoder = new TextDecoder();
  let kept = "";
  return {
    write(bytes) {
      const text = typeof bytes === "string" ? bytes : decoder.decode(bytes, { stream: true });
      kept = (kept + text).slice(0, maxLength);
    },
    text: () => kept,
  };
}
