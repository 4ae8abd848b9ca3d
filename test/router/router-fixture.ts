import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket, TCPSocketListener } from "bun";
import { spawn } from "../../src/lib/exec.ts";
import type { RouterLimits } from "../../src/router/limits.ts";
import type { RouteAppRecord, RouteTable } from "../../src/router/route-table.ts";
import { findWorkers } from "../../src/router/crew.ts";
import { createRouterClient } from "../../src/router/router-client.ts";
import { startRouter } from "../../src/router/router.ts";

/** One connection to a dyno of the tests, which answers with bytes. */
export interface DynoConnection {
  socket: Socket<DynoConnection>;
  received: string;
  ended: boolean;
  closed: Promise<void>;
  close: () => void;
}

export interface FakeDyno {
  port: number;
  connections: DynoConnection[];
  stop(): void;
}

/** A dyno that calls `onData` each time it has received more. */
export function startDyno(onData: (connection: DynoConnection) => void): FakeDyno {
  const connections: DynoConnection[] = [];
  const listener: TCPSocketListener<DynoConnection> = Bun.listen<DynoConnection>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        const { promise: closed, resolve: close } = Promise.withResolvers<void>();
        socket.data = { socket, received: "", ended: false, closed, close };
        connections.push(socket.data);
      },
      data(socket, bytes) {
        socket.data.received += bytes.toString("latin1");
        onData(socket.data);
      },
      end: (socket) => void (socket.data.ended = true),
      close: (socket) => socket.data.close(),
    },
  });
  return { port: listener.port, connections, stop: () => listener.stop(true) };
}

/** A dyno that answers each request, once its head is there, with these bytes. */
export function dynoThatAnswers(response: string): FakeDyno {
  return startDyno(({ received, socket }) => {
    if (received.includes("\r\n\r\n")) socket.write(Buffer.from(response, "latin1"));
  });
}

export function ok(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

export interface RawClient {
  send(text: string): void;
  /** What came since the last call, once it matches. */
  until(pattern: RegExp | string): Promise<string>;
  /** All that came until the other side ended. */
  toEnd(): Promise<string>;
  leave(): void;
  socket: Socket<undefined>;
}

/** A client that says and hears bytes. */
export async function openClient(port: number): Promise<RawClient> {
  let received = "";
  let ended = false;
  let wake = () => {};
  let unsent = Buffer.alloc(0);
  const flush = () => {
    const sent = socket.write(unsent);
    if (sent > 0) unsent = unsent.subarray(sent);
  };
  const onEnd = () => {
    ended = true;
    wake();
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_socket, bytes) {
        received += bytes.toString("latin1");
        wake();
      },
      drain: () => flush(),
      end: onEnd,
      close: onEnd,
      error: onEnd,
    },
  });
  const take = () => {
    const text = received;
    received = "";
    return text;
  };
  return {
    socket,
    send(text) {
      unsent = Buffer.concat([unsent, Buffer.from(text, "latin1")]);
      flush();
    },
    async until(pattern) {
      const deadlineMs = performance.now() + 60_000;
      while (typeof pattern === "string" ? !received.includes(pattern) : !pattern.test(received)) {
        if (ended || performance.now() > deadlineMs)
          throw new Error(`No ${String(pattern)} in ${JSON.stringify(received)} (ended: ${ended})`);
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), Bun.sleep(100)]);
      }
      return take();
    },
    async toEnd() {
      const deadlineMs = performance.now() + 60_000;
      while (!ended) {
        if (performance.now() > deadlineMs)
          throw new Error(`Still open after ${JSON.stringify(received)}`);
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), Bun.sleep(100)]);
      }
      return take();
    },
    leave: () => socket.terminate(),
  };
}

export interface TestRouter extends AsyncDisposable {
  dir: string;
  port: number;
  httpsPort: number | null;
  client: ReturnType<typeof createRouterClient>;
  /** Routes demo.test to an app with these dynos. */
  route(dynos: FakeDyno[], app?: Partial<RouteAppRecord>): Promise<void>;
  put(table: Partial<RouteTable>): Promise<{ setAside: string[] }>;
  /** Sends one request on its own connection and returns all that comes back. */
  ask(request: string): Promise<string>;
  open(): Promise<RawClient>;
  /** The log lines so far, once there are `count`. */
  logLines(count: number): Promise<string[]>;
  stop(): Promise<void>;
}

/**
 * A router on free ports with an empty folder; gone without a trace at the end of the block. It
 * opens a connection for each request, unless told otherwise, so that dynos of one answer will do.
 */
export async function startTestRouter(
  options: { limits?: Partial<RouterLimits>; https?: boolean } = {},
): Promise<TestRouter> {
  const dir = await mkdtemp(join(tmpdir(), "stator-router-"));
  const router = await startRouter(
    { dir, http: 0, https: options.https === true ? 0 : null, host: "127.0.0.1", version: "test" },
    { stopMs: 300, lastWordMs: 100, lingerMs: 300, reuseMs: 0, quietMs: 50, ...options.limits },
  );
  const client = createRouterClient(dir);
  const put = (table: Partial<RouteTable>) =>
    client.putTable({
      version: 1,
      domain: "test",
      hosts: {},
      apps: {},
      certificates: [],
      ...table,
    });
  return {
    dir,
    port: router.httpPort,
    httpsPort: router.httpsPort,
    client,
    put,
    async route(dynos, app) {
      await put(demoTable(dynos, app));
    },
    async ask(request) {
      const raw = await openClient(router.httpPort);
      raw.send(request);
      return raw.toEnd();
    },
    open: () => openClient(router.httpPort),
    async logLines(count) {
      const deadlineMs = performance.now() + 60_000;
      for (;;) {
        const text = await readFile(join(dir, "router.log"), "utf8").catch(() => "");
        const lines = text.split("\n").filter((line) => line !== "");
        if (lines.length >= count) return lines.map((line) => JSON.parse(line).line as string);
        if (performance.now() > deadlineMs)
          throw new Error(`Only ${lines.length} log lines: ${text}`);
        await Bun.sleep(10);
      }
    },
    stop: () => router.stop(),
    async [Symbol.asyncDispose]() {
      await router.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** The table of one app, demo.test. */
export function demoTable(dynos: FakeDyno[], app: Partial<RouteAppRecord> = {}): RouteTable {
  return {
    version: 1,
    domain: "test",
    hosts: { "demo.test": { app: "app-1" } },
    apps: {
      "app-1": {
        name: "demo",
        deployed: true,
        maintenance: false,
        webQuantity: Math.max(1, dynos.length),
        crashed: false,
        starting: false,
        dynos: dynos.map(({ port }, index) => ({
          id: `dyno-${index + 1}`,
          name: `web.${index + 1}`,
          address: "127.0.0.1",
          port,
        })),
        ...app,
      },
    },
    certificates: [],
  };
}

export const get = "GET / HTTP/1.1\r\nHost: demo.test\r\nConnection: close\r\n\r\n";

/** Makes a dyno of a port on which something else listens. */
export function dynoAt(port: number): FakeDyno {
  return { port, connections: [], stop() {} };
}

export interface RouterProcess extends AsyncDisposable {
  dir: string;
  port: number;
  httpsPort: number | null;
  /** Of the master. */
  pid: number;
  client: ReturnType<typeof createRouterClient>;
  /** Of the only worker. */
  residentBytes(): Promise<number>;
  openFiles(): Promise<number>;
  /** Its exit status. */
  stop(): Promise<number>;
}

/** The router as processes of its own, to be measured or killed: a master, and one worker usually. */
export async function startRouterProcess(
  options: {
    workers?: number;
    dir?: string;
    https?: boolean;
    port?: number;
    httpsPort?: number;
  } = {},
): Promise<RouterProcess> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "stator-router-")));
  const child = spawn(
    [
      process.execPath,
      ...[join(import.meta.dir, "run-router.ts"), "master"],
      ...["--dir", dir, "--http", String(options.port ?? 0), "--host", "127.0.0.1"],
      ...(options.https === true ? ["--https", String(options.httpsPort ?? 0)] : []),
      ...["--workers", String(options.workers ?? 1)],
    ],
    { stdin: "ignore", stdout: "inherit", stderr: "inherit" },
  );
  const client = createRouterClient(dir);
  let status = await client.status().catch(() => undefined);
  while (status?.pid !== child.pid) {
    if (child.exitCode !== null) throw new Error(`The router ended with ${child.exitCode}`);
    await Bun.sleep(20);
    status = await client.status().catch(() => undefined);
  }
  const [worker] = status.workers;
  return {
    dir,
    port: status.httpPort!,
    httpsPort: status.httpsPort,
    pid: child.pid,
    client,
    async residentBytes() {
      // Empty once the process has ended.
      const text = await readFile(`/proc/${worker}/status`, "utf8").catch(() => "");
      return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) * 1_024;
    },
    openFiles: async () => (await readdir(`/proc/${worker}/fd`)).length,
    async stop() {
      await client.stop();
      return child.exited;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      const workers = await findWorkers(dir);
      const pids = await Promise.all(
        workers.map((one) =>
          one.status().then(
            ({ pid }) => pid,
            () => undefined,
          ),
        ),
      );
      for (const pid of pids) if (pid !== undefined) process.kill(pid, "SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}
