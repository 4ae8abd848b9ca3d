/**
 * The line that the remote shell gets. One argument is such a line already (`run 'ls | wc -l'`); of
 * several, each stays one word, as the local shell gave it; a bare `$NAME` is the dyno's.
 */
export function remoteCommand(args: string[]): string {
  const [first = ""] = args;
  return args.length === 1 ? first : args.map(quoted).join(" ");
}

function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./${}-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
