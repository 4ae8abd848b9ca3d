/** This program, as it is started again: the compiled binary, or Bun and the file that it was given. */
export const thisProgram: [string, ...string[]] = Bun.isStandaloneExecutable
  ? [process.execPath]
  : [process.execPath, "--no-env-file", Bun.main];
