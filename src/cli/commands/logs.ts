import { reach } from "../../api/client.ts";
import { appFlags, command, type Context, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { serverSentData } from "../event-stream.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import type { Paint } from "../layout.ts";

const flags = {
  ...appFlags,
  num: {
    type: "string",
    short: "n",
    value: "NUMBER",
    summary: "how many lines (100, at most 1500)",
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
  json: { type: "boolean", summary: "print each line as a JSON object" },
} as const;

const logs = command({
  summary: "print the log of an app",
  examples: [
    "stator logs --tail",
    "stator logs -n 500 --dyno web.1",
    "stator logs --source heroku",
  ],
  flags,
  async run(context) {
    const { flags, paint, print, world } = context;
    const { logplex_url: address } = await openSession(context);
    const { url, headers } = reach(address);
    const response = await fetch(url, {
      headers: { ...headers, Accept: "text/event-stream" },
      // A log may be silent for longer than Bun would wait.
      timeout: false,
    } as RequestInit);
    if (!response.ok || !response.body)
      throw new CommandFailure(`The log cannot be read: the server answered ${response.status}.`);
    const { colour } = world.settings.terminal;
    try {
      for await (const line of serverSentData(response.body))
        print(flags.json ? lineAsJson(line) : colour ? coloured(line, paint) : line);
    } catch {
      throw new CommandFailure("Log stream ended. Please try again.");
    }
    if (flags.tail) throw new CommandFailure("Log stream timed out. Please try again.");
  },
});

async function openSession(context: Context<typeof flags>) {
  const { flags } = context;
  const lines = Number(flags.num ?? 100);
  if (!Number.isInteger(lines) || lines < 1 || lines > 1500)
    throw new UsageFailure(`--num is ${flags.num}, but must be a number from 1 to 1500.`);
  const { source } = flags;
  if (source !== undefined && source !== "app" && source !== "heroku")
    throw new UsageFailure(`--source is ${source}, but must be app or heroku.`);
  const dyno = flags.dyno ?? flags.ps;
  return answerOf(
    context.api.apps[":app"]["log-sessions"].$post({
      param: { app: await context.app() },
      json: { lines, tail: flags.tail ?? false, ...(source && { source }), ...(dyno && { dyno }) },
    }),
  );
}

const form = /^(\S+) (app|heroku)\[([^\]]*)\]: (.*)$/s;

function lineAsJson(line: string): string {
  const [, at, source, dyno, message] = form.exec(line) ?? [];
  return JSON.stringify(at === undefined ? { message: line } : { at, source, dyno, message });
}

function coloured(line: string, paint: Paint): string {
  const [, at = "", source = "", dyno = "", message = ""] = form.exec(line) ?? [];
  return at === "" ? line : paint.dyno(dyno)(`${at} ${source}[${dyno}]:`) + ` ${message}`;
}

export default {
  name: "logs",
  summary: "what apps and the platform say",
  commands: { logs },
} satisfies Topic;
