import { formatLogLine, type LogFilter, type LogLine, logTime } from "../logs/log-line.ts";
import type { Logs } from "../logs/logs.ts";

export interface LogSession {
  appId: string;
  lines: number;
  tail: boolean;
  filter: LogFilter;
}

const heartbeatMs = 25_000;
const maxWaitingBytes = 1024 * 1024;

/**
 * The answer of a log session: its last lines, then, with tail, each new one. Server-sent events
 * when `events`, else plain lines. A client that reads too slowly loses lines and is told so (L10).
 */
export function logStream(
  logs: Logs,
  { appId, lines, tail, filter }: LogSession,
  { events, signal }: { events: boolean; signal: AbortSignal },
): ReadableStream<Uint8Array> {
  let stop = () => {};
  return new ReadableStream<Uint8Array>(
    {
      async start(controller) {
        const frame = (line: LogLine) => {
          const text = formatLogLine(line);
          return Buffer.from(events ? `data: ${text.replaceAll("\r", "")}\n\n` : `${text}\n`);
        };
        const history = logs.read(appId, { lines, ...filter });
        if (tail) {
          const waiting: LogLine[] = [];
          let sink = (line: LogLine): void => {
            waiting.push(line);
          };
          stop = tailInto(
            logs,
            { appId, filter },
            { events, controller, sink: (line) => sink(line) },
          );
          signal.addEventListener("abort", stop);
          for (const line of await history) enqueueUnlessClosed(controller, frame(line));
          const send = sendOrDrop(controller, frame);
          for (const line of waiting) send(line);
          sink = send;
          return;
        }
        for (const line of await history) enqueueUnlessClosed(controller, frame(line));
        controller.close();
      },
      cancel: () => stop(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: maxWaitingBytes }),
  );
}

/** Follows the log, with a sign of life for routers that end silent connections after 55 s. */
function tailInto(
  logs: Logs,
  { appId, filter }: Pick<LogSession, "appId" | "filter">,
  {
    events,
    controller,
    sink,
  }: {
    events: boolean;
    controller: ReadableStreamDefaultController<Uint8Array>;
    sink: (line: LogLine) => void;
  },
): () => void {
  const unfollow = logs.follow(appId, filter, sink);
  const heartbeat = setInterval(() => {
    if (events) enqueueUnlessClosed(controller, Buffer.from(":\n\n"));
  }, heartbeatMs);
  return () => {
    unfollow();
    clearInterval(heartbeat);
  };
}

function sendOrDrop(
  controller: ReadableStreamDefaultController<Uint8Array>,
  frame: (line: LogLine) => Uint8Array,
): (line: LogLine) => void {
  let dropped = 0;
  return (line) => {
    if ((controller.desiredSize ?? 0) <= 0) {
      dropped++;
      return;
    }
    if (dropped > 0) {
      const message = `Error L10 (output buffer overflow): ${dropped} messages dropped: the reader of this log is too slow.`;
      enqueueUnlessClosed(
        controller,
        frame({ at: logTime(), source: "heroku", dyno: "logplex", message }),
      );
      dropped = 0;
    }
    enqueueUnlessClosed(controller, frame(line));
  };
}

/** The client may leave between two lines. */
function enqueueUnlessClosed(
  controller: ReadableStreamDefaultController<Uint8Array>,
  bytes: Uint8Array,
): void {
  try {
    controller.enqueue(bytes);
  } catch {
    // `cancel` or the abort signal takes the follower off.
  }
}
