import { join } from "node:path";
import { z } from "zod";
import type { RouteTable } from "./route-table.ts";
import type { RouterEvent } from "./wakes.ts";

const statusSchema = z.object({
  pid: z.number(),
  version: z.string(),
  httpPort: z.number().nullable(),
  httpsPort: z.number().nullable(),
  tableVersion: z.number(),
  inFlight: z.record(z.string(), z.number()),
  setAside: z.array(z.string()),
  workers: z.array(z.number()),
});

const activitySchema = z.object({
  observedMs: z.number(),
  apps: z.record(
    z.string(),
    z.object({
      asked: z.number().default(0),
      requests: z.number(),
      tunnels: z.number(),
      idleMs: z.number(),
    }),
  ),
});

const eventSchema: z.ZodType<RouterEvent> = z.object({ wake: z.string() });

/** How long after the router is gone it is looked for again. */
const reconnectMs = 100;

const answerSchemas = {
  status: statusSchema,
  putTable: z.object({ setAside: z.array(z.string()) }),
  reload: z.object({ setAside: z.array(z.string()) }),
  drain: z.object({ inFlight: z.number() }),
  stop: z.object({ stopping: z.literal(true) }),
};

export type RouterClient = ReturnType<typeof createControlClient>;

/** The server's side of the router at DIR; every verb throws when the router can't be reached. */
export function createRouterClient(dir: string): RouterClient {
  return createControlClient(join(dir, "router.sock"));
}

/** The same for a control socket, a worker's too. */
export function createControlClient(unix: string) {
  async function ask<T>(
    [method, path]: [method: string, path: string],
    schema: z.ZodType<T>,
    options: { body?: unknown; timeoutMs?: number } = {},
  ): Promise<T> {
    const response = await fetch(`http://router${path}`, {
      unix,
      method,
      // A kept connection would go on talking to a router that has given its socket up.
      keepalive: false,
      signal: AbortSignal.timeout(options.timeoutMs ?? 10_000),
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
    if (!response.ok)
      throw new Error(`The router refused ${method} ${path}: ${await response.text()}`);
    return schema.parse(await response.json());
  }

  return {
    /** Who runs, where it listens, which table it has, what is under way. */
    status: () => ask(["GET", "/status"], answerSchemas.status),
    /** Puts a table in force and on disk; tells which of its records could not be used. */
    putTable: (table: RouteTable) =>
      ask(["PUT", "/table"], answerSchemas.putTable, { body: table }),
    /** Has the router read its table on disk. */
    reload: () => ask(["POST", "/reload"], answerSchemas.reload),
    /** Waits until nothing is under way on a dyno that the table no longer lists; what is left. */
    drain: (dyno: string, { timeoutMs }: { timeoutMs: number }) =>
      ask(["POST", "/drain"], answerSchemas.drain, {
        body: { dyno, timeoutMs },
        timeoutMs: timeoutMs + 10_000,
      }),
    /** Per app that was asked for: what is under way, and for how long nothing came or went. */
    activity: () => ask(["GET", "/activity"], activitySchema),
    /**
     * Hears what the router has to tell, now and for as long as it is not closed; a router that is
     * gone is looked for again, and each says anew what is still waiting.
     */
    events(onEvent: (event: RouterEvent) => void): { close(): void } {
      const closing = new AbortController();
      void followEvents(unix, onEvent, closing.signal);
      return { close: () => closing.abort() };
    },
    /** Lets the router finish what it has, and end; answers at once. */
    stop: () => ask(["POST", "/stop"], answerSchemas.stop),
  };
}

async function followEvents(
  unix: string,
  onEvent: (event: RouterEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await readEvents(unix, onEvent, signal);
    } catch {
      // It is gone, or not there yet.
    }
    if (!signal.aborted) await Bun.sleep(reconnectMs);
  }
}

async function readEvents(
  unix: string,
  onEvent: (event: RouterEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch("http://router/events", { unix, keepalive: false, signal });
  if (!response.ok || response.body === null) return;
  const decoder = new TextDecoder();
  let pending = "";
  for await (const bytes of response.body) {
    const lines = (pending + decoder.decode(bytes, { stream: true })).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) if (line !== "") onEvent(eventSchema.parse(JSON.parse(line)));
  }
}
