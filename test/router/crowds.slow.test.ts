import { expect, test } from "bun:test";
import { demoTable, dynoAt, get, openClient, startRouterProcess } from "./router-fixture.ts";

const megabyte = 1_024 * 1_024;

const turnsASecond = 50;

/** Opens connections that say something at once and then a byte every second, each in its turn. */
async function openCrowd(port: number, count: number, first: string, then: string) {
  let closed = 0;
  const sockets: Bun.Socket[] = [];
  const connectOne = async () => {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data() {}, close: () => void closed++, error() {} },
    });
    if (first !== "") socket.write(first);
    sockets.push(socket);
  };
  while (sockets.length < count)
    await Promise.all(Array.from({ length: Math.min(200, count - sockets.length) }, connectOne));
  let turn = 0;
  const timer = setInterval(() => {
    for (let index = turn++ % turnsASecond; index < count && then !== ""; index += turnsASecond)
      sockets[index]?.write(then);
  }, 1_000 / turnsASecond);
  return {
    /** How many bytes each has sent since it said its first words. */
    get saidBytes() {
      return turn / turnsASecond;
    },
    get closed() {
      return closed;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      for (const socket of sockets) socket.terminate();
    },
  };
}

test("10,000 idle and trickling connections leave other clients unharmed, in bounded memory", async () => {
  await using router = await startRouterProcess();
  using app = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    // A slow machine takes longer for all of this than Bun waits for a body that trickles.
    idleTimeout: 0,
    async fetch(request) {
      await request.arrayBuffer();
      return new Response("served");
    },
  });
  const table = demoTable([dynoAt(app.port!)]);
  table.hosts["victim.test"] = { app: "app-2" };
  table.apps["app-2"] = table.apps["app-1"]!;
  await router.client.putTable(table);
  const before = await router.residentBytes();

  using idle = await openCrowd(router.port, 4_000, "", "");
  using heads = await openCrowd(
    router.port,
    5_800,
    "GET / HTTP/1.1\r\nHost: victim.test\r\nX: ",
    "x",
  );
  using bodies = await openCrowd(
    router.port,
    200,
    "POST / HTTP/1.1\r\nHost: victim.test\r\nContent-Length: 1000000\r\n\r\n",
    "x",
  );
  for (let index = 0; index < 200; index++) {
    const client = await openClient(router.port);
    client.send(get);
    expect(await client.toEnd()).toEndWith("served");
    if (index % 20 === 0) await Bun.sleep(100);
  }
  expect([idle.closed, heads.closed, bodies.closed]).toEqual([0, 0, 0]);
  expect(heads.saidBytes).toBeGreaterThan(1);
  const grown = (await router.residentBytes()) - before;
  process.stderr.write(`      10,000 slow connections: ${Math.round(grown / megabyte)} MB\n`);
  expect(grown).toBeLessThan(256 * megabyte);
});

test("100,000 connections opened and broken leave no descriptor and no memory behind", async () => {
  await using router = await startRouterProcess();
  using app = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("served") });
  await router.client.putTable(demoTable([dynoAt(app.port!)]));
  const beginnings = ["", "GET / HT", "GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n", "\r\n\r\n\r\n"];

  async function breakConnections(count: number): Promise<void> {
    let index = 0;
    const worker = async () => {
      while (index++ < count) {
        const socket = await Bun.connect({
          hostname: "127.0.0.1",
          port: router.port,
          socket: { data() {}, error() {}, close() {} },
        });
        const beginning = beginnings[index % beginnings.length]!;
        if (beginning !== "") socket.write(beginning);
        if (index % 3 === 0) await Bun.sleep(0);
        socket.terminate();
      }
    };
    await Promise.all(Array.from({ length: 100 }, worker));
  }
  async function settled(): Promise<number> {
    const untilMs = performance.now() + 15_000;
    while ((await router.openFiles()) > filesBefore && performance.now() < untilMs)
      await Bun.sleep(100);
    return router.openFiles();
  }

  const filesBefore = await router.openFiles();
  await breakConnections(50_000);
  expect(await settled()).toBeLessThanOrEqual(filesBefore);
  const before = await router.residentBytes();
  await breakConnections(50_000);
  expect(await settled()).toBeLessThanOrEqual(filesBefore);
  const grown = (await router.residentBytes()) - before;
  process.stderr.write(
    `      the second 50,000 broken connections: ${Math.round(grown / megabyte)} MB\n`,
  );
  expect(grown).toBeLessThan(64 * megabyte);
  expect((await router.client.status()).inFlight).toEqual({});
});

test("1 GB without a length goes to a slow client in constant memory", async () => {
  await using router = await startRouterProcess();
  const total = 1_000_000_000;
  const part = Buffer.alloc(megabyte / 4, "x");
  const pump = (socket: Bun.Socket<{ left: number }>) => {
    while (socket.data.left > 0) {
      const sent = socket.write(part, 0, Math.min(part.length, socket.data.left));
      if (sent <= 0) return;
      socket.data.left -= sent;
    }
    socket.end();
  };
  const dyno = Bun.listen<{ left: number }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        socket.data = { left: total };
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        pump(socket);
      },
      drain: (socket) => pump(socket),
    },
  });
  await router.client.putTable(demoTable([dynoAt(dyno.port)]));
  const before = await router.residentBytes();
  let [received, chunks, peak] = [0, "", 0];
  const { promise: ended, resolve: tellEnded } = Promise.withResolvers<void>();
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: router.port,
    socket: {
      data(socket, bytes) {
        const pausesBefore = Math.floor(received / (100 * megabyte));
        received += bytes.length;
        chunks = (chunks + bytes.subarray(-16).toString("latin1")).slice(-16);
        if (chunks.endsWith("\r\n0\r\n\r\n")) tellEnded();
        // Far longer than the dyno needs to fill all buffers.
        if (Math.floor(received / (100 * megabyte)) === pausesBefore) return;
        socket.pause();
        setTimeout(() => socket.resume(), 150);
      },
      close: () => tellEnded(),
    },
  });
  const sampler = setInterval(
    () => void router.residentBytes().then((bytes) => (peak = Math.max(peak, bytes))),
    25,
  );
  client.write("GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n");
  await ended;
  clearInterval(sampler);
  client.terminate();
  dyno.stop(true);
  expect(chunks).toEndWith("\r\n0\r\n\r\n");
  // The chunks' own bytes come on top.
  expect(received).toBeGreaterThan(total);
  const grown = peak - before;
  process.stderr.write(`      1 GB without a length: ${Math.round(grown / megabyte)} MB\n`);
  expect(grown).toBeLessThan(64 * megabyte);
});
