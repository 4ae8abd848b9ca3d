import { formatLogLine, type LogFilter, type LogLine, logTime } from "../logs/log-line.ts";
import type { KeptLine, Logs } from "../logs/logs.ts";

export interface LogSession {
  appId: string;
  /** Who asked for it: it lasts no longer than that. */
  tokenId: string;
  lines: number;
  tail: boolean;
  filter: LogFilter;
  /** Lines as Heroku has them, or a JSON object each, which tells the stream of a dyno's line. */
  format: "text" | "json";
}

export interface LogReader {
  /** Server-sent events, whose id this makes of a place in the log; plain lines without it. */
  eventId?: ((place: string) => string) | undefined;
  /** The place of the last line that the reader has: it goes on there. */
  after?: string | undefined;
  /** Aborted when the reader has left. */
  signal: AbortSignal;
  /** Aborted when the server stops. */
  stopping?: AbortSignal | undefined;
}

const heartbeatMs = 25_000;
const maxWaitingBytes = 1024 * 1024;
/** New lines that wait until the old ones have been found. */
const maxWaitingLines = 10_000;
/** When a reader of events comes back to a server that stops: it is there again then. */
const comeBackAfterMs = 10_000;
/** What a reader who comes back has missed, at most; it is told of more. */
const maxMissedLines = 10_000;

/**
 * The answer of a log session: its last lines (or all since the reader's last one), then, with tail,
 * each new one. A client that reads too slowly loses lines and is told so (L11).
 */
export function logStream(
  logs: Logs,
  session: LogSession,
  { eventId, after, signal, stopping }: LogReader,
): ReadableStream<Uint8Array> {
  let outlet: Outlet | undefined;
  let stop = () => {};
  return new ReadableStream<Uint8Array>(
    {
      async start(controller) {
        const old = oldLines(logs, session, after);
        const out = createOutlet(controller, frameOf(session, eventId));
        if (!session.tail) {
          out.sendAll(await old);
          return out.end();
        }
        const waiting: KeptLine[] = [];
        let take = (line: KeptLine): void => {
          if (waiting.length < maxWaitingLines) waiting.push(line);
          else out.drop(1);
        };
        const unfollow = logs.follow(session.appId, session.filter, (line) => take(line));
        const heartbeat = setInterval(() => {
          if (eventId) out.heartbeat();
        }, heartbeatMs);
        // A stream that ends in order is asked for again; one that breaks is an error to Heroku's client.
        const endInOrder = () => {
          stop();
          if (eventId) out.comeBack();
          out.end();
        };
        stop = () => {
          unfollow();
          clearInterval(heartbeat);
          stopping?.removeEventListener("abort", endInOrder);
        };
        signal.addEventListener("abort", stop);
        stopping?.addEventListener("abort", endInOrder);
        if (signal.aborted) stop();
        out.sendAll(await old);
        for (const line of waiting) out.send(line);
        take = (line) => out.send(line);
        outlet = out;
      },
      pull: () => outlet?.tellDropped(),
      cancel: () => stop(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: maxWaitingBytes }),
  );
}

async function oldLines(
  logs: Logs,
  { appId, lines, filter }: LogSession,
  after: string | undefined,
): Promise<{ lines: KeptLine[]; skipped: number }> {
  const missed =
    after === undefined
      ? undefined
      : logs.readAfter(appId, after, { lines: maxMissedLines, ...filter });
  return (await missed) ?? { lines: await logs.read(appId, { lines, ...filter }), skipped: 0 };
}

type Frame = (line: LogLine & { place?: string }) => Uint8Array;

function frameOf({ format }: LogSession, eventId: LogReader["eventId"]): Frame {
  return ({ place, ...line }) => {
    const text = format === "json" ? JSON.stringify(line) : formatLogLine(line);
    if (!eventId) return Buffer.from(`${text}\n`);
    const id = place === undefined ? "" : `id: ${eventId(place)}\n`;
    return Buffer.from(`${id}data: ${text.replaceAll("\r", "")}\n\n`);
  };
}

type Outlet = ReturnType<typeof createOutlet>;

/** Sends while there is room, and counts what finds none. */
function createOutlet(controller: ReadableStreamDefaultController<Uint8Array>, frame: Frame) {
  let dropped = 0;
  let since = "";
  const enqueue = (bytes: Uint8Array): void => {
    try {
      controller.enqueue(bytes);
    } catch {
      // The client has left: `cancel` or the abort signal takes the follower off.
    }
  };
  const outlet = {
    send(line: KeptLine): void {
      if ((controller.desiredSize ?? 0) <= 0) return outlet.drop(1);
      outlet.tellDropped();
      enqueue(frame(line));
    },
    /** What was asked for goes out whole. */
    sendAll({ lines, skipped }: { lines: KeptLine[]; skipped: number }): void {
      if (skipped > 0) outlet.drop(skipped);
      outlet.tellDropped();
      for (const line of lines) enqueue(frame(line));
    },
    drop(lines: number): void {
      if (dropped === 0) since = logTime();
      dropped += lines;
    },
    /** Heroku's words (contract §7.2). */
    tellDropped(): void {
      if (dropped === 0) return;
      const message = `Error L11 (Tail buffer overflow) -> This tail session dropped ${dropped} messages since ${since}`;
      dropped = 0;
      enqueue(frame({ at: logTime(), source: "heroku", dyno: "logplex", message }));
    },
    heartbeat: () => enqueue(Buffer.from(":\n\n")),
    comeBack: () => enqueue(Buffer.from(`retry: ${comeBackAfterMs}\n\n`)),
    end(): void {
      try {
        controller.close();
      } catch {
        // The client was quicker.
      }
    },
  };
  return outlet;
}
