import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../../src/cli/cli.ts";
import { readCliSettings } from "../../src/settings/cli-settings.ts";

const program = join(import.meta.dir, "cli-process.ts");

/** A person with an empty home and an empty folder, who types commands. */
export function commandLine(
  variables: Record<string, string> = {},
  /** Where its processes run: the command that runs another one there. */
  there: (argv: [string, ...string[]]) => readonly string[] = (argv) => argv,
) {
  const root = mkdtempSync(join(tmpdir(), "stator-cli-"));
  const [home, cwd] = [join(root, "home"), join(root, "folder")];
  mkdirSync(home);
  mkdirSync(cwd);
  const environment: Record<string, string> = {
    HOME: home,
    PATH: "/usr/local/bin:/usr/bin:/bin",
    ...variables,
  };
  return {
    home,
    cwd,
    environment,
    /** Runs a command in this process. */
    async stator(...argv: string[]) {
      let [out, err] = ["", ""];
      const status = await runCli(argv, {
        settings: readCliSettings(environment),
        cwd,
        out: (text) => (out += text),
        err: (text) => (err += text),
        errColumns: () => undefined,
        flush: () => Promise.resolve(),
      });
      return { status, out, err };
    },
    /** Starts a command as a process of its own. */
    start(
      argv: string[],
      {
        input,
        variables,
      }: { input?: string | Uint8Array<ArrayBuffer>; variables?: Record<string, string> } = {},
    ) {
      return Bun.spawn([...there([process.execPath, program, ...argv])], {
        cwd,
        env: { ...environment, ...variables },
        stdin: input === undefined ? "ignore" : new Blob([input]),
        stdout: "pipe",
        stderr: "pipe",
      });
    },
    /** Starts another program there, for which `stator` is one too. */
    startOther(argv: [string, ...string[]]) {
      const bin = join(root, "bin");
      mkdirSync(bin, { recursive: true });
      const line = `#!/bin/sh\nexec ${process.execPath} --no-env-file ${join(import.meta.dir, "../../src/main.ts")} "$@"\n`;
      writeFileSync(join(bin, "stator"), line, { mode: 0o755 });
      return Bun.spawn([...there(argv)], {
        ...{ cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
        env: { ...environment, PATH: `${bin}:${environment.PATH}` },
      });
    },
    /** The same, in a terminal of a size. */
    startInTerminal(
      argv: string[],
      options: { columns: number; lines: number; onOutput: (text: string) => void },
    ) {
      const child = Bun.spawn([...there([process.execPath, program, ...argv])], {
        cwd,
        env: environment,
        terminal: {
          cols: options.columns,
          rows: options.lines,
          data: (_terminal, bytes) => options.onOutput(Buffer.from(bytes).toString()),
        },
      });
      return { child, terminal: child.terminal as Bun.Terminal };
    },
    async git(...argv: string[]) {
      const child = Bun.spawn(["git", ...argv], { cwd, env: environment, stderr: "inherit" });
      const text = await new Response(child.stdout).text();
      await child.exited;
      return text;
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
