import { connect, type Socket } from "node:net";
import type { StatorApp, StatorServer } from "./stator-server.ts";

/**
 * Asks an app again and again, over connections that stay and ones that are new each time. It speaks
 * HTTP by itself: a client that tries again on its own would hide what this is here to find.
 */
export function constantRequests(
  server: Pick<StatorServer, "port">,
  app: Pick<StatorApp, "name">,
  options: { path?: string; keepAlive?: number; fresh?: number } = {},
) {
  const { path = "/", keepAlive = 3, fresh = 2 } = options;
  const failures: string[] = [];
  const answers = new Map<string, number>();
  let count = 0;
  let going = true;

  async function worker(connection: "keep-alive" | "close") {
    const head = `GET ${path} HTTP/1.1\r\nHost: ${app.name}.localhost:${server.port}\r\nConnection: ${connection}\r\n\r\n`;
    let open: ReturnType<typeof openExchange> | undefined;
    while (going) {
      const exchange = (open ??= openExchange(server.port));
      const asked = new Date().toISOString();
      try {
        const { status, body, closing } = await exchange.ask(head);
        count++;
        answers.set(body, (answers.get(body) ?? 0) + 1);
        if (status !== 200) failures.push(`${asked} ${status} ${body.slice(0, 200)}`);
        if (closing || connection === "close") open = exchange.close();
      } catch (error) {
        failures.push(`${asked} ${connection}: ${(error as Error).message}`);
        open = exchange.close();
      }
      await Bun.sleep(5);
    }
    open?.close();
  }

  const workers = [
    ...Array.from({ length: keepAlive }, () => worker("keep-alive")),
    ...Array.from({ length: fresh }, () => worker("close")),
  ];
  return {
    get count() {
      return count;
    },
    async stop() {
      going = false;
      await Promise.all(workers);
      return { count, failures, answers };
    },
  };
}

interface Answer {
  status: number;
  body: string;
  closing: boolean;
}

/** Past the 30 s after which the router itself answers (H12). */
const answerTimeoutMs = 60_000;

/** One connection; asks and waits for an answer that says its length. */
function openExchange(port: number) {
  const socket: Socket = connect(port, "127.0.0.1");
  let received = "";
  let waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;
  socket.setEncoding("latin1");
  socket.on("data", (text) => {
    received += String(text);
    const answer = readAnswer(received);
    if (!answer) return;
    received = "";
    waiting?.resolve(answer);
  });
  socket.on("error", (error) => waiting?.reject(error));
  socket.on("close", () =>
    waiting?.reject(new Error(`the connection ended after ${JSON.stringify(received)}`)),
  );
  return {
    async ask(head: string): Promise<Answer> {
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const timer = setTimeout(() => reject(new Error("no answer in 60 s")), answerTimeoutMs);
      waiting = { resolve, reject };
      socket.write(head);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        waiting = undefined;
      }
    },
    close(): undefined {
      socket.destroy();
    },
  };
}

function readAnswer(text: string): Answer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const length = Number(/^content-length: *(\d+)$/im.exec(head)?.[1] ?? Number.NaN);
  if (Number.isNaN(length)) throw new Error(`an answer without a length: ${head}`);
  const body = text.slice(end + 4);
  if (body.length < length) return undefined;
  return {
    status: Number(head.slice(9, 12)),
    body: body.slice(0, length),
    closing: /^connection: *close$/im.test(head),
  };
}
