import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { encodeFields } from "../../src/router/hpack.ts";
import {
  frameHead,
  frameType,
  headerFrames,
  numbersFrame,
  setting,
} from "../../src/router/http2-frames.ts";
import { fieldsOf, openHttp2, type Http2Client } from "./http2-fixture.ts";
import { demoTable, dynoAt, startRouterProcess, type RouterProcess } from "./router-fixture.ts";
import { certificateIn } from "./tls-fixture.ts";

const megabyte = 1_024 * 1_024;

async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const untilMs = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > untilMs) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(10);
  }
}

async function route(router: RouterProcess, port: number): Promise<void> {
  await router.client.putTable({
    ...demoTable([dynoAt(port)]),
    certificates: [certificateIn(router.dir)],
  });
}

/** The most memory that the router had since this was called, beyond what it had then. */
async function watchMemory(router: RouterProcess) {
  const before = await router.residentBytes();
  let peak = before;
  const look = async () => void (peak = Math.max(peak, await router.residentBytes()));
  const timer = setInterval(() => void look(), 25);
  return {
    async grownBytes() {
      clearInterval(timer);
      await look();
      return peak - before;
    },
  };
}

/** An app that says how much it was sent, or sends as much as it is asked for. */
function startApp() {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    maxRequestBodySize: 2 ** 40,
    async fetch(request) {
      const [, verb, bytes] = new URL(request.url).pathname.split("/");
      if (verb === "slow") await Bun.sleep(600);
      if (verb === "count") {
        let received = 0;
        for await (const part of request.body ?? []) {
          received += part.length;
          // Slower than the client.
          if (received % 7 === 0) await Bun.sleep(1);
        }
        return new Response(String(received));
      }
      if (verb !== "send") return new Response("served");
      const part = new Uint8Array(megabyte / 4);
      let left = Number(bytes);
      return new Response(
        new ReadableStream({
          pull(controller) {
            if (left > 0) controller.enqueue(part.subarray(0, Math.min(left, part.length)));
            else controller.close();
            left -= part.length;
          },
        }),
      );
    },
  });
}

test("four bodies of 100 MB at once go up and four come down in constant memory", async () => {
  using app = startApp();
  await using router = await startRouterProcess({ https: true });
  await route(router, app.port!);
  const total = 100 * megabyte;
  using client = await openHttp2(router.httpsPort!, { forgetData: true });
  const memory = await watchMemory(router);
  const down = Array.from({ length: 4 }, () => client.ask(fieldsOf("GET", `/send/${total}`)));
  const up = Array.from({ length: 4 }, () =>
    client.ask(fieldsOf("POST", "/count"), { endStream: false }),
  );
  await Promise.all([...down.map((stream) => received(client, stream)), ...up.map(upload)]);
  for (const stream of down) expect(client.answer(stream).bytes).toBe(total);
  for (const stream of up) expect(client.answer(stream).body.toString()).toBe(String(total));
  const grown = await memory.grownBytes();
  process.stderr.write(`      800 MB over eight streams: ${Math.round(grown / megabyte)} MB\n`);
  expect(grown).toBeLessThan(192 * megabyte);

  async function upload(stream: number): Promise<void> {
    const part = Buffer.alloc(16_384);
    for (let sent = 0; sent < total; sent += part.length) {
      await client.until("there is room", () => client.roomFor(stream) >= part.length);
      if (client.socket.writableNeedDrain)
        await new Promise((resolve) => client.socket.once("drain", resolve));
      client.data(stream, part, { endStream: sent + part.length >= total });
    }
    await received(client, stream);
  }
});

async function received(client: Http2Client, stream: number): Promise<void> {
  const answer = client.answer(stream);
  while (!answer.ended && answer.reset === undefined && !client.closed) await Bun.sleep(10);
}

test("clients that ask for much and read nothing leave others unharmed, in bounded memory", async () => {
  using app = startApp();
  await using router = await startRouterProcess({ https: true });
  const table = demoTable([dynoAt(app.port!)]);
  table.hosts["victim.test"] = { app: "app-2" };
  table.apps["app-2"] = table.apps["app-1"]!;
  await router.client.putTable({ ...table, certificates: [certificateIn(router.dir)] });
  const memory = await watchMemory(router);
  const clients: Http2Client[] = [];
  for (let index = 0; index < 50; index++) {
    const client = await openHttp2(router.httpsPort!, {
      // Half of them give no window, half give all and do not read from their socket.
      settings: [[setting.initialWindowSize, index % 2 === 0 ? 0 : 2 ** 30]],
      keepWindows: true,
    });
    clients.push(client);
    if (index % 2 === 1) {
      client.send(numbersFrame(frameType.windowUpdate, 0, [2 ** 30]));
      client.socket.pause();
    }
    const path = `/send/${50 * megabyte}`;
    const fields = fieldsOf("GET", path).map(([name, value]): [string, string] => [
      name,
      name === ":authority" ? "victim.test" : value,
    ]);
    for (let stream = 1; stream < 200; stream += 2)
      client.send(...headerFrames(stream, encodeFields(fields), true));
  }
  for (let index = 0; index < 100; index++) {
    using client = await openHttp2(router.httpsPort!);
    const answer = await client.whole(client.ask(fieldsOf("GET", "/")));
    expect(answer.body.toString()).toBe("served");
    await Bun.sleep(20);
  }
  const grown = await memory.grownBytes();
  process.stderr.write(
    `      5,000 streams that nobody reads: ${Math.round(grown / megabyte)} MB\n`,
  );
  expect(grown).toBeLessThan(256 * megabyte);
  for (const client of clients) client.leave();
  await until("nothing is under way", async () => {
    const { inFlight } = await router.client.status();
    return Object.keys(inFlight).length === 0;
  });
});

test("bodies of single bytes that nobody takes hold no more memory than their bytes", async () => {
  await using router = await startRouterProcess({ https: true });
  await router.client.putTable({
    ...demoTable([], { starting: true }),
    certificates: [certificateIn(router.dir)],
  });
  using client = await openHttp2(router.httpsPort!);
  const memory = await watchMemory(router);
  for (let index = 0; index < 8; index++) {
    const stream = client.ask(fieldsOf("POST", "/"), { endStream: false });
    const frame = Buffer.concat([frameHead(frameType.data, 0, stream, 1), Buffer.from("x")]);
    client.send(Buffer.alloc(frame.length * client.roomFor(stream), frame));
    await until("all is sent", () => client.socket.writableLength === 0);
  }
  // Whatever is answered now, all before it was received.
  client.send(frameHead(frameType.ping, 0, 0, 8), Buffer.alloc(8));
  await until("it is received", () => client.frames.some(({ type }) => type === frameType.ping));
  const grown = await memory.grownBytes();
  process.stderr.write(
    `      4 million bytes, each in a frame: ${Math.round(grown / megabyte)} MB\n`,
  );
  expect(grown).toBeLessThan(128 * megabyte);
  expect(client.closed).toBe(false);
});

test("replacing the workers drops no request of HTTP/2, new or under way", async () => {
  using app = startApp();
  await using cleanup = new AsyncDisposableStack();
  const first = cleanup.use(await startRouterProcess({ workers: 2, https: true }));
  await route(first, app.port!);
  const requests = constantRequests(first.httpsPort!);
  const settings = {
    ...{ workers: 2, dir: first.dir, port: first.port, https: true, httpsPort: first.httpsPort! },
  };
  const masters = [first.pid];
  for (let round = 0; round < 3; round++) {
    await Bun.sleep(300);
    masters.push(cleanup.use(await startRouterProcess(settings)).pid);
  }
  await until("one master is left", () =>
    masters.slice(0, -1).every((pid) => !existsSync(`/proc/${pid}`)),
  );
  const { count, failures, goAways } = await requests.stop();
  expect(failures).toEqual([]);
  expect(count).toBeGreaterThan(100);
  expect(goAways).toBeGreaterThan(0);
});

/** Requests all the time, many on a connection, some of them slow; as a browser would make them. */
function constantRequests(port: number) {
  let isOn = true;
  let [count, goAways] = [0, 0];
  const failures: string[] = [];
  const loop = async (index: number) => {
    while (isOn) {
      using client = await openHttp2(port);
      const isWelcome = () => !client.frames.some(({ type }) => type === frameType.goAway);
      const underWay: Promise<void>[] = [];
      while (isOn && isWelcome()) {
        const stream = client.ask(fieldsOf("GET", index % 3 === 0 ? "/slow" : "/quick"));
        underWay.push(
          client.whole(stream).then((answer) => {
            count++;
            if (answer.body.toString() !== "served") failures.push(JSON.stringify(answer));
          }),
        );
        await Bun.sleep(index % 3 === 0 ? 50 : 5);
      }
      if (!isWelcome()) goAways++;
      await Promise.all(underWay);
    }
  };
  const loops = Array.from({ length: 9 }, (_, index) => loop(index));
  return {
    async stop() {
      isOn = false;
      await Promise.all(loops);
      return { count, failures, goAways };
    },
  };
}
