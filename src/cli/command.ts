import type { Client } from "../api/client.ts";
import { chooseApp } from "./app-choice.ts";
import { connect } from "./connect.ts";
import { paint, type Paint } from "./layout.ts";
import { type Progress, withProgress } from "./progress.ts";
import type { World } from "./world.ts";

export interface Flag {
  type: "boolean" | "string";
  summary: string;
  short?: string;
  /** What help calls the value of a string flag. */
  value?: string;
}

export type Flags = Record<string, Flag>;
export type FlagValues = Record<string, string | boolean | undefined>;

type ValuesOf<F extends Flags> = {
  [Name in keyof F]?: (F[Name]["type"] extends "boolean" ? boolean : string) | undefined;
};

/** What a command is run with. */
export interface Context<F extends Flags> {
  flags: ValuesOf<F>;
  args: string[];
  world: World;
  paint: Paint;
  api: Client;
  /**
   * Name of the app that the command is about, ready for an address: what an app can be called is
   * the same there, so it is also what people read.
   */
  app: () => Promise<string>;
  /** Prints a line of the answer. */
  print: (line?: string) => void;
  printJson: (value: unknown) => void;
  /** Says on standard error what is being done, and then how it went. */
  action: <T>(
    title: string,
    act: (progress: Progress) => Promise<T>,
    outcome?: (result: T) => string,
  ) => Promise<T>;
}

interface Description {
  summary: string;
  /** The arguments, as in `KEY [VALUE] [MORE…]`; from it follows how many there may be. */
  usage?: string;
  details?: string;
  examples?: string[];
  aliases?: string[];
  /** Whether what follows `--` belongs to another program. */
  runsProgram?: boolean;
  /** Whether all that follows its name belongs to another program, but for a single `--help`. */
  passesAllOn?: boolean;
}

export interface Command extends Description {
  flags: Flags;
  run(world: World, given: { flags: FlagValues; args: string[] }): Promise<number>;
}

/** A file of `commands/`: one noun and what can be done with it. */
export interface Topic {
  name: string;
  summary: string;
  commands: Record<string, Command>;
}

/** Declares a command; its help, and the parsing of its flags, follow from the declaration. */
export function command<const F extends Flags>(
  declaration: Description & {
    flags: F;
    /** Returns the exit status, if it is not 0. */
    run(context: Context<F>): Promise<number | void>;
  },
): Command {
  return {
    ...declaration,
    async run(world, { flags, args }) {
      const context = contextOf<F>(world, { flags: flags as ValuesOf<F>, args });
      return (await declaration.run(context)) ?? 0;
    },
  };
}

export const appFlags = {
  app: { type: "string", short: "a", value: "APP", summary: "the app to work on" },
  remote: { type: "string", short: "r", value: "REMOTE", summary: "git remote of the app" },
} as const satisfies Flags;

/** For `confirm`, where what is lost is an app's. */
export const confirmFlag = {
  confirm: { type: "string", short: "c", value: "APP", summary: "its name, instead of typing it" },
} as const satisfies Flags;

export const shellFlag = {
  shell: { type: "boolean", short: "s", summary: "print NAME=value as a shell reads it" },
} as const satisfies Flags;

export const jsonFlag = {
  json: { type: "boolean", short: "j", summary: "print JSON" },
} as const satisfies Flags;

function contextOf<F extends Flags>(
  world: World,
  given: { flags: ValuesOf<F>; args: string[] },
): Context<F> {
  const { app, remote } = given.flags as { app?: string; remote?: string };
  let client: Client | undefined;
  return {
    ...given,
    world,
    paint: paint(world.settings.terminal.colour),
    get api() {
      return (client ??= connect(world));
    },
    app: async () => encodeURIComponent(await chooseApp(world, { app, remote })),
    print(line = "") {
      world.out(`${line}\n`);
    },
    printJson(value) {
      world.out(`${JSON.stringify(value, null, 2)}\n`);
    },
    action: (title, act, outcome) =>
      withProgress(world, title, async (progress) => {
        const result = await act(progress);
        const said = outcome?.(result);
        progress.end(said ? `done, ${said}` : "done");
        return result;
      }),
  };
}
