import { describe, expect, test } from "bun:test";
import { encodeFields, type Field } from "../../src/router/hpack.ts";
import {
  errorCode,
  flag,
  frameHead,
  frameType,
  headerFrames,
  numbersFrame,
  preface,
  setting,
  settingsFrame,
} from "../../src/router/http2-frames.ts";
import { fieldsOf, startHttp2Router, type Http2Client, type Http2Router } from "./http2-fixture.ts";
import { ok, startDyno, type FakeDyno } from "./router-fixture.ts";

/** A router, a dyno that answers each request that it sees, a client, and what is true afterwards. */
async function startScene(
  options: Parameters<typeof startHttp2Router>[0] & {
    client?: Parameters<Http2Router["open"]>[0];
  } = {},
) {
  const cleanup = new AsyncDisposableStack();
  const it = cleanup.use(await startHttp2Router(options));
  const dyno: FakeDyno = cleanup.adopt(
    startDyno(({ received, socket }) => {
      if (/^(GET|HEAD) [^]*\r\n\r\n$/.test(received)) socket.write(ok("served"));
    }),
    (started) => started.stop(),
  );
  await it.route([dyno]);
  const client = cleanup.adopt(await it.open(options.client), (opened) => opened.leave());
  return {
    ...{ it, dyno, client },
    /** Others are served as ever, and nothing is under way any more. */
    async expectUnharmed() {
      using other = await it.open();
      const answer = await other.whole(other.ask(fieldsOf("GET", "/after")));
      expect(answer.body.toString()).toBe("served");
      await other.until("all is done", () => true);
      const untilMs = performance.now() + 15_000;
      while (Object.keys((await it.router.client.status()).inFlight).length > 0) {
        if (performance.now() > untilMs) throw new Error("Requests are still under way");
        await Bun.sleep(5);
      }
    },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

const without = (name: string): Field[] => fieldsOf("GET", "/").filter(([key]) => key !== name);
const having = (name: string, value: string): Field[] => fieldsOf("GET", "/", [name, value]);
const withPseudo = (name: string, value: string): Field[] => [[name, value], ...without(name)];
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: demo.test\r\n\r\n";

describe("a malformed request is reset, and no dyno hears of it", () => {
  const malformed: Record<string, Field[]> = {
    connection: having("connection", "close"),
    "transfer-encoding": having("transfer-encoding", "chunked"),
    upgrade: having("upgrade", "websocket"),
    "keep-alive": having("keep-alive", "timeout=5"),
    "proxy-connection": having("proxy-connection", "close"),
    "te for more than trailers": having("te", "gzip"),
    "an upper-case name": having("X-Upper", "1"),
    "upper-case Transfer-Encoding": having("Transfer-Encoding", "chunked"),
    "a name with a blank": having("x header", "1"),
    "a name that ends with a blank": having("transfer-encoding ", "chunked"),
    "a name with a colon": having("x:y", "1"),
    "a name with a line in it": having("x: 1\r\ntransfer-encoding", "chunked"),
    "an empty name": having("", "1"),
    "a value with a line in it": having("x", `1\r\ntransfer-encoding: chunked`),
    "a value with a request in it": having("x", `1\r\n\r\n${smuggled}`),
    "a value with a carriage return": having("x", "1\r2"),
    "a value with a line feed": having("x", "1\n2"),
    "a value with a zero byte": having("x", "1\u00002"),
    "a value that begins with a blank": having("x", " chunked"),
    "a value that ends with a tab": having("x", "chunked\t"),
    "a line in the path": withPseudo(":path", `/ HTTP/1.1\r\n\r\n${smuggled}`),
    "a blank in the path": withPseudo(":path", "/ HTTP/1.1"),
    "a fragment in the path": withPseudo(":path", "/a#b"),
    "an empty path": withPseudo(":path", ""),
    "a path without its slash": withPseudo(":path", "a"),
    "a whole address as path": withPseudo(":path", "https://other.test/"),
    "all (*) but for OPTIONS": withPseudo(":path", "*"),
    "a line in the method": withPseudo(":method", `GET / HTTP/1.1\r\n\r\n${smuggled}`),
    "a blank in the method": withPseudo(":method", "GET /smuggled"),
    "a line in the authority": withPseudo(":authority", "demo.test\r\nx: 1"),
    "no method": without(":method"),
    "no scheme": without(":scheme"),
    "no path": without(":path"),
    "two methods": [[":method", "POST"], ...fieldsOf("GET", "/")],
    "two paths": [[":path", "/other"], ...fieldsOf("GET", "/")],
    "two authorities": [[":authority", "other.test"], ...fieldsOf("GET", "/")],
    "a pseudo-header after a header": [...without(":path"), ["x", "1"], [":path", "/"]],
    "a pseudo-header that nobody knows": withPseudo(":x", "1"),
    "a pseudo-header of responses": withPseudo(":status", "200"),
    "a length with a sign": having("content-length", "+0"),
    "a length that is no number": having("content-length", "0x0"),
    "two lengths": [...having("content-length", "0"), ["content-length", "1"]],
    "two lengths in one": having("content-length", "0, 1"),
    "a length that is too long": having("content-length", "1".repeat(30)),
    "a length without a body": having("content-length", "5"),
    "a protocol without CONNECT": withPseudo(":protocol", "websocket"),
    "a tunnel that has already ended": [
      ...withPseudo(":protocol", "websocket").filter(([name]) => name !== ":method"),
      [":method", "CONNECT"],
    ],
  };
  for (const [what, fields] of Object.entries(malformed))
    test(what, async () => {
      await using scene = await startScene();
      const { client, dyno } = scene;
      const answer = await client.whole(client.ask(fields));
      expect(answer.reset).toBe(errorCode.protocol);
      expect(answer.blocks).toEqual([]);
      const next = await client.whole(client.ask(fieldsOf("GET", "/next")));
      expect(next.body.toString()).toBe("served");
      expect(dyno.connections.map(({ received }) => received.split(" HTTP")[0])).toEqual([
        "GET /next",
      ]);
    });
});

describe("a request that HTTP/1.1 would not have either gets 400", () => {
  const bad: Record<string, Field[]> = {
    "no host": without(":authority"),
    "a host that is not the authority": having("host", "other.test"),
    "a second host that is not the authority": [
      ...having("host", "demo.test"),
      ["host", "other.test"],
    ],
    "a user in the authority": withPseudo(":authority", "demo.test@other.test"),
    "a path in the authority": withPseudo(":authority", "demo.test/x"),
    "an empty authority": [...withPseudo(":authority", ""), ["host", "demo.test"]],
    CONNECT: [
      [":method", "CONNECT"],
      [":authority", "demo.test:443"],
    ],
    connect: withPseudo(":method", "connect"),
    "a method that is too long": withPseudo(":method", "X".repeat(128)),
    "a path that is too long": withPseudo(":path", `/${"x".repeat(8_192)}`),
    "a header that is too long": having("x", "x".repeat(8_200)),
    "a name that is too long": having("x".repeat(1_001), "1"),
    "cookies that are too long together": fieldsOf(
      "GET",
      "/",
      ...Array.from({ length: 9 }, (): Field => ["cookie", "x".repeat(1_000)]),
    ),
    "a thousand headers and one": fieldsOf(
      "GET",
      "/",
      ...Array.from({ length: 1_001 }, (): Field => ["x", "1"]),
    ),
  };
  for (const [what, fields] of Object.entries(bad))
    test(what, async () => {
      await using scene = await startScene();
      const { client, dyno } = scene;
      const answer = await client.whole(client.ask(fields));
      expect(answer.blocks[0]).toMatchObject({ ":status": "400" });
      expect(answer.body.toString()).toContain("Bad request");
      expect(dyno.connections).toEqual([]);
      await scene.expectUnharmed();
    });
});

test("H26: a head over the limits is in the log of the app that it names, and of no other", async () => {
  await using scene = await startScene();
  const { client } = scene;
  const long = ["x", "x".repeat(8_200)] as const;
  await client.whole(client.ask([...withPseudo(":authority", "nobody.test"), [...long]]));
  await client.whole(client.ask(having(...long)));
  await client.whole(client.ask(withPseudo(":method", "connect")));
  const lines = await scene.it.router.logLines(2);
  expect(lines).toHaveLength(2);
  for (const [index, method] of ["GET", "connect"].entries())
    expect(lines[index]).toMatch(
      new RegExp(
        `^at=error code=H26 desc="Request Error" cause="bad header" sock=client method=${method} path="/" host=demo\\.test .* dyno= connect= service= status=400 bytes=0 protocol=http2\\.0 tls=true`,
      ),
    );
});

describe("a body", () => {
  const posting = (client: Http2Client, ...others: Field[]) =>
    client.ask(fieldsOf("POST", "/upload", ...others), { endStream: false });

  test("longer than it said is reset before a dyno sees what is too much", async () => {
    await using scene = await startScene();
    const { client, dyno } = scene;
    const stream = posting(client, ["content-length", "4"]);
    client.data(stream, "body");
    client.data(stream, smuggled);
    expect((await client.whole(stream)).reset).toBe(errorCode.protocol);
    await scene.expectUnharmed();
    for (const { received } of dyno.connections) expect(received).not.toContain("smuggled");
  });

  test("shorter than it said ends the request at the dyno", async () => {
    await using scene = await startScene();
    const { client, dyno } = scene;
    const stream = posting(client, ["content-length", "40"]);
    await client.until("the dyno has it", () => dyno.connections.length > 0);
    client.data(stream, "body", { endStream: true });
    expect((await client.whole(stream)).reset).toBe(errorCode.protocol);
    await dyno.connections[0]!.closed;
    expect((await scene.it.router.logLines(1))[0]).toMatch(/^at=warning code=H27 .* status=499 /);
    await scene.expectUnharmed();
  });

  const trailers: Record<string, Field[]> = {
    "a request in a value": [["x", `1\r\n\r\n${smuggled}`]],
    "a line in a name": [["x: 1\r\ny", "1"]],
    "a pseudo-header": [[":path", "/smuggled"]],
    "an upper-case name": [["X-Sum", "1"]],
    "more than fits": Array.from({ length: 5 }, (_, index) => [`x-${index}`, "x".repeat(4_000)]),
  };
  for (const [what, fields] of Object.entries(trailers))
    test(`with trailers that have ${what} is reset, and they go nowhere`, async () => {
      await using scene = await startScene();
      const { client, dyno } = scene;
      const stream = posting(client);
      client.data(stream, "body");
      await client.until("the dyno has it", () =>
        dyno.connections.some(({ received }) => received.includes("body")),
      );
      client.trailers(stream, fields);
      expect((await client.whole(stream)).reset).toBe(errorCode.protocol);
      await dyno.connections[0]!.closed;
      expect(dyno.connections[0]!.received).toEndWith("\r\n\r\n4\r\nbody\r\n");
      await scene.expectUnharmed();
    });

  test("that goes on after its end is an error", async () => {
    await using scene = await startScene();
    const { client, dyno } = scene;
    const stream = posting(client);
    client.data(stream, "body", { endStream: true });
    client.data(stream, smuggled);
    expect((await client.whole(stream)).reset).toBe(errorCode.streamClosed);
    await scene.expectUnharmed();
    for (const { received } of dyno.connections) expect(received).not.toContain("smuggled");
  });

  test("that looks like requests stays one", async () => {
    await using scene = await startScene({ limits: { reuseMs: 500 } });
    const { client, dyno } = scene;
    const stream = posting(client);
    client.data(stream, `0\r\n\r\n${smuggled}`);
    await client.until("the dyno has it", () =>
      dyno.connections.some(({ received }) => received.includes("smuggled")),
    );
    const size = (smuggled.length + 5).toString(16);
    expect(dyno.connections[0]!.received).toEndWith(`\r\n\r\n${size}\r\n0\r\n\r\n${smuggled}\r\n`);
  });
});

describe("a connection that breaks the rules ends, with the reason", () => {
  const settings = settingsFrame([]);
  const request = headerFrames(1, encodeFields(fieldsOf("GET", "/")), true);
  const openRequest = headerFrames(1, encodeFields(fieldsOf("POST", "/")), false);
  const headersHead = (flags: number, length: number) =>
    frameHead(frameType.headers, flags, 1, length);
  const rawHeaders = (hex: string) => {
    const block = Buffer.from(hex, "hex");
    return [headersHead(flag.endHeaders | flag.endStream, block.length), block];
  };
  const cases: Record<string, [code: number, ...bytes: Buffer[]]> = {
    "HTTP/1.1": [errorCode.protocol, Buffer.from("GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n")],
    "a preface that ends wrongly": [
      errorCode.protocol,
      preface.subarray(0, 20),
      Buffer.from("xxxx"),
    ],
    "no settings": [errorCode.protocol, preface, ...request],
    "an index that is not there": [errorCode.compression, preface, settings, ...rawHeaders("ff80")],
    "a Huffman code that is not there": [
      errorCode.compression,
      ...[preface, settings, ...rawHeaders("0484ffffffff")],
    ],
    "a table larger than allowed": [
      errorCode.compression,
      ...[preface, settings, ...rawHeaders("3fe21f")],
    ],
    "a header block that is cut": [
      errorCode.compression,
      preface,
      settings,
      ...rawHeaders("400a63"),
    ],
    "a frame larger than allowed": [
      errorCode.frameSize,
      ...[preface, settings, frameHead(frameType.data, 0, 1, 16_385)],
    ],
    "a frame inside a header block": [
      errorCode.protocol,
      ...[
        preface,
        settings,
        headersHead(0, 0),
        frameHead(frameType.ping, 0, 0, 8),
        Buffer.alloc(8),
      ],
    ],
    "the header block of another stream": [
      errorCode.protocol,
      ...[preface, settings, headersHead(0, 0), frameHead(frameType.continuation, 4, 3, 0)],
    ],
    "a continuation of nothing": [
      errorCode.protocol,
      ...[preface, settings, frameHead(frameType.continuation, 4, 1, 0)],
    ],
    "padding longer than its frame": [
      errorCode.protocol,
      ...[preface, settings, ...openRequest],
      ...[frameHead(frameType.data, flag.padded, 1, 2), Buffer.from([2, 0])],
    ],
    "a stream of the server": [
      errorCode.protocol,
      ...[preface, settings, ...headerFrames(2, encodeFields(fieldsOf("GET", "/")), true)],
    ],
    "data of a stream that nobody opened": [
      errorCode.protocol,
      ...[preface, settings, frameHead(frameType.data, 0, 5, 0)],
    ],
    "a push": [errorCode.protocol, preface, settings, frameHead(frameType.pushPromise, 4, 1, 0)],
    "settings of a stream": [errorCode.protocol, preface, frameHead(frameType.settings, 0, 1, 0)],
    "settings of odd size": [
      errorCode.frameSize,
      ...[preface, frameHead(frameType.settings, 0, 0, 5), Buffer.alloc(5)],
    ],
    "a window that overflows": [
      errorCode.flowControl,
      ...[preface, settings, numbersFrame(frameType.windowUpdate, 0, [2 ** 31 - 1])],
    ],
    "a first window that overflows": [
      errorCode.flowControl,
      ...[preface, settingsFrame([[setting.initialWindowSize, 2 ** 31]])],
    ],
    "windows of streams that overflow by a setting": [
      errorCode.flowControl,
      ...[preface, settings, ...openRequest],
      ...[
        numbersFrame(frameType.windowUpdate, 1, [2 ** 31 - 1 - 65_535]),
        settingsFrame([[setting.initialWindowSize, 65_536]]),
      ],
    ],
    "a window of no bytes": [
      errorCode.protocol,
      ...[preface, settings, numbersFrame(frameType.windowUpdate, 0, [0])],
    ],
  };
  for (const [what, [code, ...bytes]] of Object.entries(cases))
    test(what, async () => {
      await using scene = await startScene({ client: { silent: true } });
      const { client } = scene;
      client.send(...bytes);
      expect(await client.goneWith()).toBe(code);
      await scene.expectUnharmed();
    });
});

describe("more data than there is room for", () => {
  const part = Buffer.alloc(16_384);
  const starting = { starting: true };

  test("on a stream ends the stream", async () => {
    await using scene = await startScene();
    const { client, it } = scene;
    await it.route([], starting);
    const stream = client.ask(fieldsOf("POST", "/"), { endStream: false });
    for (let index = 0; index < 40; index++) client.data(stream, part);
    expect((await client.whole(stream)).reset).toBe(errorCode.flowControl);
    expect(client.closed).toBe(false);
  });

  test("on all streams together ends the connection", async () => {
    await using scene = await startScene();
    const { client, it } = scene;
    await it.route([], starting);
    for (let index = 0; index < 40; index++) {
      const stream = client.ask(fieldsOf("POST", "/"), { endStream: false });
      for (let sent = 0; sent < 512 * 1_024; sent += part.length) client.data(stream, part);
    }
    expect(await client.goneWith()).toBe(errorCode.flowControl);
  });
});

describe("a client that floods is told to calm down, and let go", () => {
  const ping = Buffer.concat([frameHead(frameType.ping, 0, 0, 8), Buffer.alloc(8)]);
  const post = encodeFields(fieldsOf("POST", "/"));
  const opened = Buffer.concat(headerFrames(1, post, false));
  const floods: Record<string, { before?: Buffer; frame: Buffer | ((index: number) => Buffer) }> = {
    "with pings": { frame: ping },
    "with settings": { frame: settingsFrame([[setting.initialWindowSize, 65_535]]) },
    "with acknowledgements": { frame: frameHead(frameType.settings, flag.ack, 0, 0) },
    "with priorities": {
      frame: Buffer.concat([frameHead(frameType.priority, 0, 1, 5), Buffer.alloc(5)]),
    },
    "with frames that nobody knows": { frame: frameHead(99, 0, 0, 0) },
    "with room that nobody needs": { frame: numbersFrame(frameType.windowUpdate, 0, [1]) },
    "with data that has no bytes": { before: opened, frame: frameHead(frameType.data, 0, 1, 0) },
    "with data that is all padding": {
      before: opened,
      frame: Buffer.concat([
        frameHead(frameType.data, flag.padded, 1, 256),
        Buffer.from([255]),
        Buffer.alloc(255),
      ]),
    },
    "with a header block that has no end": {
      before: frameHead(frameType.headers, flag.endStream, 1, 0),
      frame: Buffer.concat([
        frameHead(frameType.continuation, 0, 1, 16_384),
        Buffer.alloc(16_384, 0x82),
      ]),
    },
    "with a header block of empty pieces": {
      before: frameHead(frameType.headers, flag.endStream, 1, 0),
      frame: frameHead(frameType.continuation, 0, 1, 0),
    },
    "with streams that it resets at once (CVE-2023-44487)": {
      frame: (index) =>
        Buffer.concat([
          ...headerFrames(1 + 2 * index, encodeFields(fieldsOf("GET", "/rapid")), true),
          numbersFrame(frameType.reset, 1 + 2 * index, [errorCode.cancel]),
        ]),
    },
    "with streams that it makes us reset (CVE-2025-8671)": {
      frame: (index) =>
        Buffer.concat([
          ...headerFrames(1 + 2 * index, encodeFields(fieldsOf("GET", "/made")), true),
          numbersFrame(frameType.windowUpdate, 1 + 2 * index, [0]),
        ]),
    },
    "with requests beyond the limit": {
      frame: (index) => Buffer.concat(headerFrames(1 + 2 * index, post, false)),
    },
    "with malformed requests": {
      frame: (index) =>
        Buffer.concat(headerFrames(1 + 2 * index, encodeFields(having("Upper", "1")), true)),
    },
  };
  for (const [what, { before, frame }] of Object.entries(floods))
    test(what, async () => {
      await using scene = await startScene();
      const { client, dyno } = scene;
      if (before !== undefined) client.send(before);
      for (let index = 0; index < 20_000 && !client.closed; index++) {
        client.send(typeof frame === "function" ? frame(index) : frame);
        if (index % 100 === 0) await Bun.sleep(0);
      }
      expect(await client.goneWith()).toBe(errorCode.enhanceYourCalm);
      expect(dyno.connections.length).toBeLessThan(250);
      await scene.expectUnharmed();
    });

  test("but one that only changes its mind, or is there for long, is not", async () => {
    await using scene = await startScene();
    const { client } = scene;
    for (let round = 0; round < 3; round++) {
      const streams = Array.from({ length: 60 }, () => client.ask(fieldsOf("GET", "/image")));
      for (const stream of streams.slice(30)) client.reset(stream);
      for (const stream of streams.slice(0, 30)) await client.whole(stream);
      for (let index = 0; index < 100; index++) client.send(ping);
    }
    const answer = await client.whole(client.ask(fieldsOf("GET", "/after")));
    expect(answer.body.toString()).toBe("served");
  });
});

test("a few bytes that stand for many headers cost a 400, and nothing more", async () => {
  await using scene = await startScene();
  const { client, dyno } = scene;
  const long = "x".repeat(3_900);
  // Kept in the table (0x40), then asked for again and again.
  const literal = Buffer.concat([Buffer.from("400178" + "7fbd1d", "hex"), Buffer.from(long)]);
  const block = Buffer.concat([
    encodeFields(fieldsOf("GET", "/bomb")),
    literal,
    Buffer.alloc(100_000, 0xbe),
  ]);
  for (let stream = 1; stream < 20; stream += 2) {
    client.send(...headerFrames(stream, block, true));
    const answer = await client.whole(stream);
    expect(answer.blocks[0]).toMatchObject({ ":status": "400" });
  }
  expect(dyno.connections).toEqual([]);
  client.send(...headerFrames(21, encodeFields(fieldsOf("GET", "/")), true));
  expect((await client.whole(21)).body.toString()).toBe("served");
});

test("streams beyond the limit are refused unharmed, and may come again", async () => {
  await using scene = await startScene();
  const { client, dyno } = scene;
  const open = Array.from({ length: 100 }, () =>
    client.ask(fieldsOf("POST", "/upload"), { endStream: false }),
  );
  const beyond = client.ask(fieldsOf("GET", "/beyond"));
  expect((await client.whole(beyond)).reset).toBe(errorCode.refusedStream);
  expect(open.map((stream) => client.answer(stream).reset)).toEqual(open.map(() => undefined));
  client.reset(open[0]!);
  const again = await client.whole(client.ask(fieldsOf("GET", "/again")));
  expect(again.body.toString()).toBe("served");
  expect(dyno.connections.some(({ received }) => received.includes("/beyond"))).toBe(false);
});

describe("a client that lets us wait", () => {
  const limits = { headMs: 1_000, keepAliveMs: 1_000 };

  test("for the rest of its preface is let go", async () => {
    await using scene = await startScene({ limits, client: { silent: true } });
    scene.client.send(preface.subarray(0, 10));
    expect(await scene.client.goneWith()).toBe(errorCode.none);
  });

  test("for the end of a header block is let go, whatever else it does", async () => {
    await using scene = await startScene({ limits });
    const { client } = scene;
    client.ask(fieldsOf("POST", "/"), { endStream: false });
    client.send(frameHead(frameType.headers, flag.endStream, 3, 0));
    const trickle = setInterval(() => client.send(frameHead(frameType.continuation, 0, 3, 0)), 20);
    expect(await client.goneWith()).toBe(errorCode.none);
    clearInterval(trickle);
    await scene.expectUnharmed();
  });

  test("for half a frame is let go", async () => {
    await using scene = await startScene({ limits });
    scene.client.send(Buffer.from([0, 0, 8, frameType.ping, 0]));
    expect(await scene.client.goneWith()).toBe(errorCode.none);
  });

  test("for a request is let go, but not while it waits for us", async () => {
    await using scene = await startScene({ limits });
    const { client } = scene;
    const stream = client.ask(fieldsOf("POST", "/"), { endStream: false });
    await Bun.sleep(500);
    expect([client.closed, client.answer(stream).reset]).toEqual([false, undefined]);
    client.reset(stream);
    expect(await client.goneWith()).toBe(errorCode.none);
  });
});

test("a request that comes byte by byte is read as any other", async () => {
  await using scene = await startScene({ client: { silent: true } });
  const { client } = scene;
  const bytes = Buffer.concat([
    preface,
    settingsFrame([]),
    ...headerFrames(1, encodeFields(fieldsOf("GET", "/slow")), true),
  ]);
  for (const byte of bytes) {
    client.send(Buffer.from([byte]));
    await Bun.sleep(0);
  }
  expect((await client.whole(1)).body.toString()).toBe("served");
});

test("H22: connections beyond the limit are told so, and closed", async () => {
  await using scene = await startScene({ limits: { connections: 1 } });
  using beyond = await scene.it.open({ silent: true });
  expect(await beyond.goneWith()).toBe(errorCode.enhanceYourCalm);
  expect((await scene.client.whole(scene.client.ask(fieldsOf("GET", "/")))).body.toString()).toBe(
    "served",
  );
});
