import { chmod, rename, rm, stat } from "node:fs/promises";
import { z } from "zod";
import { unlimitedIdleTime } from "../lib/idle-time.ts";
import type { ActivityReport } from "./activity.ts";
import type { RouterEvent } from "./wakes.ts";

export interface RouterStatus {
  pid: number;
  version: string;
  httpPort: number | null;
  httpsPort: number | null;
  tableVersion: number;
  /** Requests under way, by dyno id; tunnels are not among them. */
  inFlight: Record<string, number>;
  /** What of the table could not be used, a sentence each. */
  setAside: readonly string[];
  /** The processes that serve requests; the router itself when it has no workers. */
  workers: number[];
}

export interface ControlVerbs {
  status(): RouterStatus | Promise<RouterStatus>;
  putTable(table: unknown): Promise<{ setAside: readonly string[] }>;
  /** Reads the table on disk: how a master tells its workers of a new one. */
  reload(): Promise<{ setAside: readonly string[] }>;
  drain(dynoId: string, timeoutMs: number): Promise<number>;
  activity(): ActivityReport | Promise<ActivityReport>;
  /** Hears what the server should know, until the returned function is called. */
  listen(listener: (event: RouterEvent) => void): () => void;
  /** Resolves when nothing is listened on any more; what is under way goes on. */
  stop(): Promise<void>;
}

const drainRequest = z.object({ dyno: z.string(), timeoutMs: z.number().min(0).max(3_600_000) });

export interface Control {
  /** Gives up the path, unless a successor has it already; requests under way are still answered. */
  release(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The server's way in: HTTP over a unix socket that only the router's own user may open. It takes
 * the path over from a predecessor; bound elsewhere first, since closing a socket removes the path
 * that it was bound to, which by then is the successor's.
 */
export async function serveControl(path: string, verbs: ControlVerbs): Promise<Control> {
  const boundPath = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  const server = Bun.serve({
    unix: boundPath,
    maxRequestBodySize: 256 * 1_024 * 1_024,
    // A drain waits long, and events come once in hours.
    ...unlimitedIdleTime,
    fetch: (request) => answer(request, verbs),
    error: (error) => Response.json({ message: String(error) }, { status: 500 }),
  });
  await chmod(boundPath, 0o600);
  const { ino } = await stat(boundPath);
  await rename(boundPath, path);
  return {
    async release() {
      const found = await stat(path).catch(() => undefined);
      if (found?.ino === ino) await rm(path, { force: true });
    },
    close: () => server.stop(false),
  };
}

async function answer(request: Request, verbs: ControlVerbs): Promise<Response> {
  switch (`${request.method} ${new URL(request.url).pathname}`) {
    case "GET /status":
      return Response.json(await verbs.status());
    case "GET /activity":
      return Response.json(await verbs.activity());
    case "GET /events":
      return streamEvents(request, verbs);
    case "PUT /table":
      return answerTo(request, (table) => verbs.putTable(table));
    case "POST /reload":
      return Response.json(await verbs.reload());
    case "POST /drain":
      return answerTo(request, async (body) => {
        const { dyno, timeoutMs } = drainRequest.parse(body);
        return { inFlight: await verbs.drain(dyno, timeoutMs) };
      });
    case "POST /stop":
      await verbs.stop();
      return Response.json({ stopping: true }, { status: 202 });
    default:
      return Response.json({ message: "no such verb" }, { status: 404 });
  }
}

async function answerTo(request: Request, verb: (body: unknown) => Promise<unknown>) {
  try {
    return Response.json(await verb(await request.json()));
  } catch (error) {
    if (error instanceof z.ZodError || error instanceof SyntaxError)
      return Response.json({ message: error.message }, { status: 400 });
    throw error;
  }
}

/** A JSON object a line, for as long as the other side listens. */
function streamEvents(request: Request, verbs: ControlVerbs): Response {
  let forget = () => {};
  const stop = () => forget();
  request.signal.addEventListener("abort", stop);
  const stream = new ReadableStream<string>({
    start(controller) {
      // The head goes out with the first bytes, and the listener wants to know that it is heard.
      controller.enqueue("\n");
      forget = verbs.listen((event) => controller.enqueue(`${JSON.stringify(event)}\n`));
    },
    cancel: stop,
  });
  return new Response(stream, { headers: { "content-type": "application/x-ndjson" } });
}
