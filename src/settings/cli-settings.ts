import { defaultDataDir } from "../lib/default-data-dir.ts";

type Variables = Record<string, string | undefined>;

/** What the command line reads from the environment; apart from the server's, whose rules take longer to load than a command may take. */
export interface CliSettings {
  home: string;
  /** Where git and a browser are looked for. */
  path: string;
  /** Data folder of the server on this machine; `stator login` reads the owner's token there. */
  dataDir: string;
  /** What a browser needs to be opened; nothing where there is no desktop. */
  desktop: Record<string, string> | undefined;
  app: string | undefined;
  api: string | undefined;
  token: string | undefined;
  terminal: { term: string; colour: boolean };
  /** The person's shell, as `/bin/bash`. */
  shell: string;
  /** All of it, for a program of the person's own that is run in his name. */
  inherited: Record<string, string>;
}

export function readCliSettings(variables: Variables = process.env): CliSettings {
  return {
    home: variables.HOME ?? "/",
    path: variables.PATH ?? "/usr/local/bin:/usr/bin:/bin",
    dataDir: variables.STATOR_DATA || defaultDataDir(variables),
    desktop: desktop(variables),
    app: variables.STATOR_APP || undefined,
    api: variables.STATOR_API || undefined,
    token: variables.STATOR_API_KEY || undefined,
    terminal: {
      term: variables.TERM ?? "dumb",
      colour: Boolean(process.stdout.isTTY) && variables.NO_COLOR === undefined,
    },
    shell: variables.SHELL ?? "/bin/sh",
    inherited: Object.fromEntries(
      Object.entries(variables).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    ),
  };
}

function desktop(variables: Variables): Record<string, string> | undefined {
  if (!process.stdout.isTTY) return undefined;
  if (process.platform === "darwin") return {};
  const names = ["DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];
  const found = names.flatMap((name) => (variables[name] ? [[name, variables[name]]] : []));
  return variables.DISPLAY || variables.WAYLAND_DISPLAY ? Object.fromEntries(found) : undefined;
}
