/** What the person who pushes sees: Heroku's arrows, seven spaces and exclamation marks. */

const indent = "       ";

export function header(title: string): void {
  process.stdout.write(`-----> ${title}\n`);
}

export function line(text = ""): void {
  process.stdout.write(`${indent}${text}\n`);
}

export function warn(text: string): void {
  for (const part of text.split("\n")) process.stdout.write(` !     ${part}\n`);
}

/** Passes a program's output on, byte for byte, with every line moved in. */
export function createIndenter(write: (chunk: Uint8Array) => void) {
  let atLineStart = true;
  const margin = new TextEncoder().encode(indent);
  const newline = 10;

  function indentChunk(chunk: Uint8Array): void {
    let start = 0;
    while (start < chunk.length) {
      if (atLineStart) write(margin);
      const end = chunk.indexOf(newline, start);
      atLineStart = end !== -1;
      const next = end === -1 ? chunk.length : end + 1;
      write(chunk.subarray(start, next));
      start = next;
    }
  }

  /** Ends a last line that the program left open, so that the next arrow starts a new one. */
  function end(): void {
    if (!atLineStart) write(Uint8Array.of(newline));
  }

  return { indentChunk, end };
}
