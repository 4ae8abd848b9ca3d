import { expect, test } from "bun:test";
import { flag, frameHead, frameType } from "../../src/router/http2-frames.ts";
import { fieldsOf, startHttp2Router } from "./http2-fixture.ts";
import { ok, startDyno, startTestRouter, type DynoConnection } from "./router-fixture.ts";

const bodyBytes = 1_500_000;
const shortLimits = { idleMs: 500, keepAliveMs: 500, headMs: 500, lingerMs: 500, firstByteMs: 500 };

/** Writes all of it, however slowly it is taken. */
function writeAll(socket: Bun.Socket<unknown>, text: string): Promise<void> {
  let left = Buffer.from(text, "latin1");
  return new Promise((resolve) => {
    const push = () => {
      left = left.subarray(Math.max(0, socket.write(left)));
      if (left.length > 0) setTimeout(push, 5);
      else resolve();
    };
    push();
  });
}

/** A client that reads nothing until it is told to. */
async function stuckClient(port: number) {
  const seen = { bytes: 0, ended: false };
  const end = () => void (seen.ended = true);
  const socket = await Bun.connect({
    ...{ hostname: "127.0.0.1", port, allowHalfOpen: true },
    socket: { data: (_, bytes) => void (seen.bytes += bytes.length), end, close: end, error: end },
  });
  socket.pause();
  return { socket, seen, [Symbol.dispose]: () => socket.terminate() };
}

test("a client that asks again and again and takes nothing is cut off (H28)", async () => {
  await using router = await startTestRouter({ limits: shortLimits });
  const answered = new Map<DynoConnection, number>();
  const dyno = startDyno((connection) => {
    const asked = connection.received.split("\r\n\r\n").length - 1;
    const before = answered.get(connection) ?? 0;
    answered.set(connection, asked);
    void writeAll(connection.socket, ok("x".repeat(8_000)).repeat(asked - before));
  });
  await router.route([dyno]);
  using client = await stuckClient(router.port);
  const requests = 2_000;
  await writeAll(client.socket, "GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n".repeat(requests));
  await Bun.sleep(2_000);
  client.socket.resume();
  while (!client.seen.ended) await Bun.sleep(20);
  expect(client.seen.bytes).toBeLessThan(requests * 8_000);
  expect((await router.logLines(1)).at(-1)).toContain("code=H28");
  dyno.stop();
});

test("a stream of HTTP/2 whose client takes nothing is cut off (H28)", async () => {
  await using it = await startHttp2Router({ limits: shortLimits });
  const dyno = startDyno(({ socket }) => void writeAll(socket, ok("x".repeat(150_000))));
  await it.route([dyno]);
  using client = await it.open({ keepWindows: true });
  const stream = client.ask(fieldsOf("GET", "/"));
  await client.until("it is reset", () => client.answer(stream).reset !== undefined);
  expect((await it.router.logLines(1)).at(-1)).toContain("code=H28");
  dyno.stop();
});

test("an answer before the upload's end comes whole, although the dyno reads on", async () => {
  await using router = await startTestRouter({ limits: { lingerMs: 10_000, lastWordMs: 3_000 } });
  async function answerEarly(socket: Bun.Socket<unknown>): Promise<void> {
    socket.pause();
    await Bun.sleep(300);
    await writeAll(socket, ok("x".repeat(bodyBytes)));
    await Bun.sleep(500);
    socket.resume();
  }
  let answering: Promise<void> | undefined;
  const dyno = startDyno(({ socket }) => void (answering ??= answerEarly(socket)));
  await router.route([dyno]);
  using client = await stuckClient(router.port);
  const upload = 30_000_000;
  const head = `POST / HTTP/1.1\r\nHost: demo.test\r\nContent-Length: ${upload}\r\n\r\n`;
  void writeAll(client.socket, head + "u".repeat(upload));
  await Bun.sleep(2_000);
  client.socket.resume();
  while (!client.seen.ended) await Bun.sleep(20);
  expect(client.seen.bytes).toBeGreaterThan(bodyBytes);
  dyno.stop();
});

test("the first byte is waited for from the upload's end on, however long that took (H12)", async () => {
  await using router = await startTestRouter({ limits: { firstByteMs: 600, idleMs: 60_000 } });
  const dyno = startDyno(() => {});
  await router.route([dyno]);
  const client = await router.open();
  client.send("POST / HTTP/1.1\r\nHost: demo.test\r\nContent-Length: 100\r\n\r\n");
  for (let sent = 0; sent < 100; sent += 10) {
    await Bun.sleep(75);
    client.send("x".repeat(10));
  }
  await client.until("HTTP/1.1 503");
  expect((await router.logLines(1))[0]).toContain("code=H12");
  dyno.stop();
});

/** How many bytes the kernel takes for a reader that does not read. */
async function kernelsRoom(): Promise<number> {
  const reader = Bun.listen({
    ...{ hostname: "127.0.0.1", port: 0 },
    socket: { open: (socket) => socket.pause(), data() {} },
  });
  const writer = await Bun.connect({
    ...{ hostname: "127.0.0.1", port: reader.port },
    socket: { data() {} },
  });
  let room = 0;
  for (let idle = 0; idle < 10; await Bun.sleep(3)) {
    const taken = Math.max(0, writer.write(Buffer.alloc(65_536)));
    room += taken;
    idle = taken > 0 ? 0 : idle + 1;
  }
  writer.terminate();
  reader.stop(true);
  return room;
}

test("an upload of HTTP/2 without a length has its end at a dyno that was full; no request follows in an unfinished one", async () => {
  const limits = { firstByteMs: 60_000, idleMs: 60_000, reuseMs: 3_000 };
  await using it = await startHttp2Router({ limits });
  const fullAfter = Math.ceil((await kernelsRoom()) / 65_536);
  for (const bursts of [fullAfter, fullAfter + 1, fullAfter + 3])
    for (const answersEarly of [false, true]) {
      let tail = "";
      let socket: Bun.Socket<unknown> | undefined;
      const dyno = startDyno((connection) => {
        tail = (tail + connection.received).slice(-4_000);
        connection.received = "";
        if (socket !== undefined) return;
        socket = connection.socket;
        socket.pause();
      });
      await it.route([dyno]);
      using client = await it.open();
      const stream = client.ask(fieldsOf("POST", "/up"), { endStream: false });
      await client.until("the dyno has the head", () => socket !== undefined);
      const part = [frameHead(frameType.data, 0, stream, 16_384), Buffer.alloc(16_384, "a")];
      for (let burst = 0; burst < bursts; burst++) {
        client.send(Buffer.concat(Array.from({ length: 4 }, () => part).flat()));
        await Bun.sleep(5);
      }
      await Bun.sleep(50);
      client.send(frameHead(frameType.data, flag.endStream, stream, 0));
      await Bun.sleep(50);
      if (answersEarly) {
        socket?.write(ok("early"));
        await client.whole(stream);
        using other = await it.open();
        other.ask(fieldsOf("GET", "/victim"));
        await Bun.sleep(100);
        socket?.resume();
        await Bun.sleep(300);
        // On another connection, or behind the body's end.
        if (tail.includes("GET /victim")) expect(tail).toMatch(/(^|0\r\n\r\n)GET \/victim/);
      } else {
        socket?.resume();
        await client.until("the dyno sees its end", () => tail.endsWith("\r\n0\r\n\r\n"));
      }
      dyno.stop();
    }
});
