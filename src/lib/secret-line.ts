/** No request begins like this: no method has a colon in it. */
const mark = Buffer.from("attach:");
const secretLength = 43;
const secretLine = /^attach:([\w-]{43})\r\n$/;

/** How many bytes a secret's line has. */
export const secretLineBytes = mark.length + secretLength + "\r\n".length;

export type SecretLine =
  | { kind: "incomplete" }
  /** It begins as a secret's line does, and goes on otherwise. */
  | { kind: "bad" }
  /** It does not even begin like one. */
  | { kind: "none" }
  | { kind: "secret"; secret: string; rest: Buffer };

/** What an attached dyno's client says first, without the end of the line; 43 characters of base64url. */
export function secretWord(secret: string): string {
  return `${mark.toString()}${secret}`;
}

/** Reads what has come so far on a connection; at most the bytes of one line are looked at. */
export function readSecretLine(bytes: Buffer): SecretLine {
  const marked = Math.min(bytes.length, mark.length);
  if (bytes.compare(mark, 0, marked, 0, marked) !== 0) return { kind: "none" };
  const line = bytes.toString("latin1", 0, Math.min(bytes.length, secretLineBytes));
  const [, secret] = secretLine.exec(line) ?? [];
  if (secret !== undefined) return { kind: "secret", secret, rest: bytes.subarray(line.length) };
  const isOver = line.length === secretLineBytes || line.includes("\n");
  return { kind: isOver ? "bad" : "incomplete" };
}
