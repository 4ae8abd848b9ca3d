import { reach } from "../../api/client.ts";
import { appFlags, command, type Context, type Topic } from "../command.ts";
import { answerOf, unreachable } from "../connect.ts";
import { serverSentEvents } from "../event-stream.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { paint as paintOf, type Paint } from "../layout.ts";
import type { World } from "../world.ts";

const flags = {
  ...appFlags,
  num: {
    type: "string",
    short: "n",
    value: "NUMBER",
    summary: "how many lines (100, with --since all; at most 1500)",
  },
  tail: { type: "boolean", short: "t", summary: "go on with what is said next" },
  dyno: { type: "string", short: "d", value: "DYNO", summary: "only this dyno, as in web.1" },
  ps: { type: "string", short: "p", value: "TYPE", summary: "only dynos of this type" },
  source: {
    type: "string",
    short: "s",
    value: "SOURCE",
    summary: "only app, or only heroku (the platform)",
  },
  since: {
    type: "string",
    value: "TIME",
    summary: "only what was said since then: 10m, 2h, 3d, 2026-05-01T12:00Z",
  },
  grep: {
    type: "string",
    short: "g",
    value: "TEXT",
    summary: "only messages with this text, letter by letter",
  },
  "ignore-case": { type: "boolean", short: "i", summary: "--grep takes a for A" },
  "dyno-name": { type: "string", value: "DYNO", summary: "the same as --dyno" },
  "process-type": { type: "string", value: "TYPE", summary: "the same as --ps" },
  "force-colors": { type: "boolean", summary: "in colours, into a pipe too" },
  "no-color": { type: "boolean", summary: "without colours" },
  json: { type: "boolean", summary: "print each line as a JSON object, with its stream" },
} as const;

const retryDelayMs = 500;
const reconnectLimitMs = 60_000;

export const logs = command({
  summary: "print the log of an app",
  details: `Lines are kept for a week or up to 64 MB an app, whichever is less, unless the server is told otherwise.
With --tail, a connection that breaks (the server is restarted, say) is made again, and no line is missed.`,
  examples: [
    "stator logs --tail",
    "stator logs -n 500 --dyno web.1",
    "stator logs --source heroku",
    "stator logs --since 2h --grep timeout -i",
  ],
  flags,
  async run(context) {
    const { api, world } = context;
    const order = await orderOf(context);
    const ask = () => api.apps[":app"]["log-sessions"].$post(order);
    const seen: Seen = { lastId: undefined };
    const { logplex_url: address } = await answerOf(ask());
    const first = await openStream(address, seen);
    if (first instanceof Error) throw unreachable(first);
    const whole = await printEvents(context, first, seen);
    if (!context.flags.tail) {
      if (!whole) throw new CommandFailure("Log stream ended. Please try again.");
      return;
    }
    for (;;) {
      const stream = await waitFor(async () => {
        const answer = await ask().catch(() => undefined);
        if (!answer || answer.status >= 500) return undefined;
        const session = await answerOf(Promise.resolve(answer));
        const stream = await openStream(session.logplex_url, seen);
        return stream instanceof Error ? undefined : stream;
      }, world);
      await printEvents(context, stream, seen);
    }
  },
});

interface Seen {
  /** The id of the last line that was printed. */
  lastId: string | undefined;
}

type LogsContext = Context<typeof flags>;

/** Prints until the stream ends; returns whether it was the server that ended it. */
async function printEvents(
  { flags, print, world }: LogsContext,
  stream: ReadableStream<Uint8Array>,
  seen: Seen,
): Promise<boolean> {
  const colour = flags["force-colors"] || (world.settings.terminal.colour && !flags["no-color"]);
  const paint = paintOf(colour && !flags.json);
  try {
    for await (const { id, data } of serverSentEvents(stream)) {
      for (const line of data) print(coloured(line, paint));
      seen.lastId = id;
    }
    return true;
  } catch {
    return false;
  }
}

/** Tries until the server is back; what `connect` throws is a refusal, and ends it. */
async function waitFor<T>(connect: () => Promise<T | undefined>, world: World): Promise<T> {
  const deadline = Date.now() + reconnectLimitMs;
  world.err(" ▸    The connection to the log is lost. Waiting for the server...\n");
  while (Date.now() < deadline) {
    await Bun.sleep(retryDelayMs);
    const connected = await connect();
    if (connected === undefined) continue;
    world.err(" ▸    Connected again: the log goes on.\n");
    return connected;
  }
  throw new CommandFailure("Log stream timed out. Please try again.");
}

/** A stream that begins behind the last line seen; an error when no server answers. */
async function openStream(
  address: string,
  { lastId }: Seen,
): Promise<ReadableStream<Uint8Array> | Error> {
  const { url, headers } = reach(address);
  const response = await fetch(url, {
    headers: {
      ...headers,
      Accept: "text/event-stream",
      ...(lastId !== undefined && { "Last-Event-ID": lastId }),
    },
    // A log may be silent for longer than Bun would wait.
    timeout: false,
  } as RequestInit).catch((error: Error) => error);
  if (response instanceof Error) return response;
  if (response.status >= 500) return new Error(`it answered ${response.status}`);
  if (!response.ok || !response.body)
    throw new CommandFailure(`The log cannot be read: the server answered ${response.status}.`);
  return response.body;
}

/** What is asked of the server, from flags that were checked. */
async function orderOf(context: LogsContext) {
  const { flags } = context;
  const { since, grep } = flags;
  const source = sourceOf(flags.source);
  const dyno = flags.dyno ?? flags["dyno-name"] ?? flags.ps ?? flags["process-type"];
  const json = {
    ...(flags.num !== undefined && { lines: numberOfLines(flags.num) }),
    tail: flags.tail ?? false,
    ...(source && { source }),
    ...(dyno && { dyno }),
    ...(since !== undefined && { since }),
    ...(grep !== undefined && { grep, ignore_case: flags["ignore-case"] ?? false }),
    ...(flags.json && { format: "json" as const }),
  };
  return { param: { app: await context.app() }, json };
}

function sourceOf(source: string | undefined): "app" | "heroku" | undefined {
  if (source === undefined || source === "app" || source === "heroku") return source;
  throw new UsageFailure(`--source is ${source}, but must be app or heroku.`);
}

function numberOfLines(num: string): number {
  const lines = Number(num);
  if (!Number.isInteger(lines) || lines < 1 || lines > 1500)
    throw new UsageFailure(`--num is ${num}, but must be a number from 1 to 1500.`);
  return lines;
}

const form = /^(\S+) (app|heroku)\[([^\]]*)\]: (.*)$/s;

function coloured(line: string, paint: Paint): string {
  const [, at = "", source = "", dyno = "", message = ""] = form.exec(line) ?? [];
  return at === "" ? line : paint.dyno(dyno)(`${at} ${source}[${dyno}]:`) + ` ${message}`;
}

export default {
  name: "logs",
  summary: "what apps and the platform say",
  commands: { logs },
} satisfies Topic;
