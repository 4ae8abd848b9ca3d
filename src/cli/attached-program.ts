import { attach } from "./attach.ts";
import type { Context, Flags } from "./command.ts";
import { answerOf } from "./connect.ts";
import { readCredentials } from "./credentials.ts";
import { CommandFailure } from "./failures.ts";

/** Runs a line in a dyno of its own, or inside one that runs; returns its exit status. */
export async function startProgram<F extends Flags>(
  context: Context<F>,
  order: {
    line: string;
    /** Name of the dyno that it runs inside. */
    inside?: string;
    size?: string | undefined;
    /** The first part of its name. */
    type?: string | undefined;
    environment?: Record<string, string>;
  },
): Promise<number> {
  const { api, flags, paint, action, world } = context;
  const app = await context.app();
  const terminal = !(flags["no-tty"] ?? false) && process.stdin.isTTY && process.stdout.isTTY;
  const program = {
    command: order.line,
    env: {
      ...(terminal ? terminalVariables(world.settings.terminal.term) : {}),
      ...order.environment,
    },
    force_no_tty: !terminal,
  };
  const { inside, size, type } = order;
  const request = () =>
    inside === undefined
      ? api.apps[":app"].dynos.$post({
          param: { app },
          json: { ...program, attach: true, size, type },
        })
      : api.apps[":app"].dynos[":dyno"].$post({
          param: { app, dyno: encodeURIComponent(inside) },
          json: program,
        });
  const dyno = await action(
    `Running ${order.line} on ${paint.app(app)}`,
    () => answerOf(request()),
    ({ name }) => name,
  );
  if (dyno.attach_url === null)
    throw new CommandFailure("The server gave no address to attach to.");
  const { token } = readCredentials(world.settings);
  return attach({ address: dyno.attach_url, token, dyno: dyno.name, terminal });
}

/** What a program in a terminal has to know of it. */
function terminalVariables(term: string): Record<string, string> {
  return {
    TERM: term,
    COLUMNS: String(process.stdout.columns ?? 80),
    LINES: String(process.stdout.rows ?? 24),
  };
}
