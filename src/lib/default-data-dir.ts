/** Where a server keeps everything unless it is told otherwise: root's is the machine's, others' is theirs. */
export function defaultDataDir(variables: Record<string, string | undefined>): string {
  return process.getuid?.() === 0 ? "/var/lib/stator" : `${variables.HOME ?? "/tmp"}/.stator`;
}
